//! The exact index with its vectors on a graphics card: for many questions at once over many vectors.

use longtrainer_index::{Error as IndexError, FlatIndex, Mirror, MirrorError, MirroredIndex};
use longtrainer_inference::{DeviceRows, MOST_GREATEST, SelectedDevice};

/// The rows of an index in a device's memory.
#[derive(Debug)]
pub struct DeviceCopy(DeviceRows);

/// An exact index that searches on a device. It is a [`VectorIndex`](longtrainer_index::VectorIndex) like all others.
pub type DeviceIndex = MirroredIndex<DeviceCopy>;

/// An index whose vectors are copied to a device when they are first searched.
///
/// # Errors
///
/// [`IndexError::Mirror`] when the device has no memory.
pub fn device_index(flat: FlatIndex, device: &SelectedDevice) -> Result<DeviceIndex, IndexError> {
    use longtrainer_index::VectorIndex;
    let rows = DeviceRows::new(device, DeviceIndex::width(flat.dimension()));
    let rows = rows.map_err(|source| IndexError::Mirror { source })?;
    MirroredIndex::new(flat, DeviceCopy(rows))
}

impl Mirror for DeviceCopy {
    fn width(&self) -> usize {
        self.0.width()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn write(&mut self, start: usize, values: &[f32]) -> Result<(), MirrorError> {
        self.0.write(start, values)
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    fn greatest(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<usize>>, MirrorError> {
        let found = self.0.greatest(queries, k)?;
        let rows = |found: Vec<(usize, f32)>| found.into_iter().map(|(row, _)| row).collect();
        Ok(found.into_iter().map(rows).collect())
    }

    fn most(&self) -> usize {
        MOST_GREATEST
    }
}

#[cfg(test)]
mod tests {
    use longtrainer_index::{Metric, VectorIndex};

    use super::*;

    const DIMENSION: usize = 24;

    /// The same numbers every time, from -1 to 1 (xorshift).
    fn random(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    fn device() -> SelectedDevice {
        let name = std::env::var("LONGTRAINER_TEST_DEVICE");
        let name = name.unwrap_or_else(|_| "cpu".to_owned());
        longtrainer_inference::select_device(name.parse().unwrap()).unwrap()
    }

    /// Finds with the copy what the exact index finds, scores to the bit.
    fn assert_same(found: &DeviceIndex, exact: &FlatIndex, what: &str) {
        let queries = random(9 * DIMENSION, 77);
        for k in [1, 10, 50, 500] {
            let hits = found.search_batch(&queries, k).unwrap();
            assert_eq!(
                hits,
                exact.search_batch(&queries, k).unwrap(),
                "{what}, {k}"
            );
            let first = found.search(&queries[..DIMENSION], k).unwrap();
            assert_eq!(first, hits[0], "{what}, {k}");
        }
    }

    #[test]
    fn a_device_finds_what_the_exact_index_finds() {
        for metric in [Metric::InnerProduct, Metric::Cosine, Metric::L2] {
            let exact = FlatIndex::new(DIMENSION, metric).unwrap();
            let copied = device_index(FlatIndex::new(DIMENSION, metric).unwrap(), &device());
            let copied = copied.unwrap();
            assert_same(&copied, &exact, "empty");
            let both = |act: &dyn Fn(&dyn VectorIndex)| {
                act(&exact);
                act(&copied);
            };
            let ids: Vec<u64> = (0..5000).map(|id| id * 3).collect();
            let vectors = random(ids.len() * DIMENSION, 5);
            both(&|index| index.upsert(&ids, &vectors).unwrap());
            assert_same(&copied, &exact, "filled");
            let others = random(700 * DIMENSION, 6);
            both(&|index| index.upsert(&ids[2000..2700], &others).unwrap());
            both(&|index| assert_eq!(index.remove(&ids[..400]).unwrap(), 400));
            assert_same(&copied, &exact, "changed");
            both(&|index| index.compact().unwrap());
            both(&|index| index.upsert(&[1], &others[..DIMENSION]).unwrap());
            assert_same(&copied, &exact, "compacted");
            both(&|index| assert_eq!(index.remove(&ids).unwrap(), 4600));
            assert_same(&copied, &exact, "nearly empty");
        }
    }

    #[test]
    fn what_an_index_refuses_is_refused() {
        let flat = FlatIndex::new(DIMENSION, Metric::Cosine).unwrap();
        let index = device_index(flat, &device()).unwrap();
        index.upsert(&[7], &random(DIMENSION, 1)).unwrap();
        assert!(matches!(
            index.search(&[0.0; 3], 1),
            Err(IndexError::Dimension { .. })
        ));
        assert!(matches!(
            index.search_batch(&[0.0; DIMENSION], 1),
            Err(IndexError::ZeroQuery { query: 0 })
        ));
        assert!(index.upsert(&[8], &[f32::NAN; DIMENSION]).is_err());
        assert_eq!(index.search(&random(DIMENSION, 1), 5).unwrap().len(), 1);
    }

    /// Beyond the range in which the copy's arithmetic is sound, the index answers.
    #[test]
    fn great_numbers_are_left_to_the_index() {
        let exact = FlatIndex::new(DIMENSION, Metric::L2).unwrap();
        let copied = FlatIndex::new(DIMENSION, Metric::L2).unwrap();
        let copied = device_index(copied, &device()).unwrap();
        let great: Vec<f32> = random(100 * DIMENSION, 3)
            .iter()
            .map(|x| x * 1e30)
            .collect();
        let ids: Vec<u64> = (0..100).collect();
        exact.upsert(&ids, &great).unwrap();
        copied.upsert(&ids, &great).unwrap();
        assert_same(&copied, &exact, "great");
    }
}
