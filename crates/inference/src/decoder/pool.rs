//! The pages that caches over tensors are made of.
//!
//! A page holds the keys and values of [`BLOCK_TOKENS`] positions in all blocks of the model. The pages of a block lie
//! in one tensor, so that one call reads or writes those of many requests; which pages a request has, its cache
//! knows. Pages are shared by counting references, and the pool takes back those that nobody holds.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Tensor};

use super::config::DecoderConfig;
use crate::engine::BLOCK_TOKENS;

/// Pages that there is room for at first.
const FIRST_PAGES: usize = 2;
/// Room doubles until so many bytes would come at once, and then grows by as many.
const MOST_AT_ONCE: usize = 1 << 30;

/// What the pages of a model hold of each position, and where.
#[derive(Debug, Clone)]
pub(super) struct PageShape {
    pub(super) blocks: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) dtype: DType,
    pub(super) device: Device,
}

/// The pages of all caches of a model.
#[derive(Debug)]
pub(super) struct Pool {
    shape: PageShape,
    room: Mutex<Room>,
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct Room {
    /// One for each block of the model: (2 * kv_heads, positions of all pages, head_dim), keys before values.
    tensors: Vec<Tensor>,
    pages: usize,
    /// Taken from the front, so that a request that is alone gets pages that lie side by side.
    free: BTreeSet<usize>,
    /// Pages from here on were never used.
    untouched: usize,
}

/// A page, which returns to its pool when nobody holds it any more.
#[derive(Debug)]
pub(super) struct Page {
    number: usize,
    pool: Arc<Pool>,
}

impl PageShape {
    /// What the pages of a model hold.
    pub(super) fn new(config: &DecoderConfig, dtype: DType, device: &Device) -> Self {
        Self {
            blocks: config.blocks,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            dtype,
            device: device.clone(),
        }
    }

    /// Memory of a page, in bytes.
    pub(super) fn page_bytes(&self) -> usize {
        let values = self.blocks * 2 * self.kv_heads * BLOCK_TOKENS * self.head_dim;
        values * self.dtype.size_in_bytes()
    }

    fn zeros(&self, pages: usize) -> Result<Tensor> {
        let shape = (2 * self.kv_heads, pages * BLOCK_TOKENS, self.head_dim);
        Tensor::zeros(shape, self.dtype, &self.device)
    }
}

impl Pool {
    /// A pool that has no room yet.
    pub(super) fn new(shape: PageShape) -> Arc<Self> {
        Arc::new(Self {
            shape,
            room: Mutex::default(),
            turn: Mutex::default(),
        })
    }

    /// What its pages hold.
    pub(super) fn shape(&self) -> &PageShape {
        &self.shape
    }

    /// Memory of the pages that somebody holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let room = self.room();
        (room.pages - room.free.len()) * self.shape.page_bytes()
    }

    /// Waits for other steps: while one writes, nobody else may make more room, which moves what is there.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One tensor for each block of the model: (2 * kv_heads, positions, head_dim), keys before values.
    pub(super) fn tensors(&self) -> Vec<Tensor> {
        self.room().tensors.clone()
    }

    /// A page of zeros: what others have left in it might be no numbers, which even a weight of zero does not silence.
    pub(super) fn take(self: &Arc<Self>) -> Result<Page> {
        let (number, is_used) = self.take_number()?;
        let page = Page {
            number,
            pool: Arc::clone(self),
        };
        if is_used {
            page.clear()?;
        }
        Ok(page)
    }

    fn take_number(&self) -> Result<(usize, bool)> {
        let mut room = self.room();
        if room.free.is_empty() {
            self.shape.enlarge(&mut room)?;
        }
        let Some(number) = room.free.pop_first() else {
            candle_core::bail!("no room was made for keys and values");
        };
        let is_used = number < room.untouched;
        room.untouched = room.untouched.max(number + 1);
        Ok((number, is_used))
    }

    fn give_back(&self, number: usize) {
        let mut room = self.room();
        room.free.insert(number);
        if room.free.len() == room.pages {
            *room = Room::default();
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PageShape {
    /// Makes room for more pages; for one at least, if there is no memory for as many as would be good.
    fn enlarge(&self, room: &mut Room) -> Result<()> {
        let most = (MOST_AT_ONCE / self.page_bytes().max(1)).max(1);
        let more = room.pages.clamp(FIRST_PAGES, most.max(FIRST_PAGES));
        match self.enlarge_by(room, more) {
            Err(_) if more > 1 => self.enlarge_by(room, 1),
            outcome => outcome,
        }
    }

    /// Block by block, so that only one of them is there twice at a time. If it fails, some have more room than is
    /// counted, which the next attempt finds.
    fn enlarge_by(&self, room: &mut Room, more: usize) -> Result<()> {
        let pages = room.pages + more;
        for block in 0..self.blocks {
            match room.tensors.get_mut(block) {
                None => room.tensors.push(self.zeros(pages)?),
                Some(tensor) if tensor.dim(1)? < pages * BLOCK_TOKENS => {
                    let larger = self.zeros(pages)?;
                    larger.slice_set(tensor, 1, 0)?;
                    *tensor = larger;
                }
                Some(_) => {}
            }
        }
        room.free.extend(room.pages..pages);
        room.pages = pages;
        Ok(())
    }
}

impl Page {
    /// The first of its positions among those of all pages.
    pub(super) fn start(&self) -> usize {
        self.number * BLOCK_TOKENS
    }

    /// Which page it is.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Whether it is one of this pool.
    pub(super) fn is_of(&self, pool: &Arc<Pool>) -> bool {
        Arc::ptr_eq(&self.pool, pool)
    }

    /// Another page with the same content.
    pub(super) fn copy(&self) -> Result<Self> {
        let copy = self.pool.take()?;
        for tensor in self.pool.tensors() {
            let content = tensor.narrow(1, self.start(), BLOCK_TOKENS)?;
            tensor.slice_set(&content.force_contiguous()?, 1, copy.start())?;
        }
        Ok(copy)
    }

    fn clear(&self) -> Result<()> {
        let zeros = self.pool.shape.zeros(1)?;
        let tensors = self.pool.tensors();
        let mut tensors = tensors.iter();
        tensors.try_for_each(|tensor| tensor.slice_set(&zeros, 1, self.start()))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.pool.give_back(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Arc<Pool> {
        Pool::new(PageShape {
            blocks: 3,
            kv_heads: 2,
            head_dim: 4,
            dtype: DType::F32,
            device: Device::Cpu,
        })
    }

    fn fill(pool: &Pool, page: &Page, value: f32) {
        let values = Tensor::full(value, (4, BLOCK_TOKENS, 4), &Device::Cpu).unwrap();
        for tensor in pool.tensors() {
            tensor.slice_set(&values, 1, page.start()).unwrap();
        }
    }

    fn content(pool: &Pool, page: &Page) -> Vec<f32> {
        let parts = pool.tensors().into_iter().map(|tensor| {
            let part = tensor.narrow(1, page.start(), BLOCK_TOKENS).unwrap();
            part.flatten_all().unwrap().to_vec1().unwrap()
        });
        parts.collect::<Vec<Vec<f32>>>().concat()
    }

    #[test]
    fn memory_is_that_of_the_pages_that_are_held() {
        let pool = pool();
        assert_eq!(pool.bytes(), 0);
        let pages: Vec<Page> = (0..5).map(|_| pool.take().unwrap()).collect();
        assert_eq!(pool.bytes(), 5 * pool.shape().page_bytes());
        assert_eq!(pool.shape().page_bytes(), 3 * 2 * 2 * 4 * 4 * BLOCK_TOKENS);
        let numbers: Vec<usize> = pages.iter().map(Page::number).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        drop(pages);
        assert_eq!(pool.bytes(), 0);
        assert!(pool.tensors().is_empty());
    }

    #[test]
    fn content_outlasts_more_room() {
        let pool = pool();
        let first = pool.take().unwrap();
        fill(&pool, &first, 7.0);
        let copy = first.copy().unwrap();
        let others: Vec<Page> = (0..9).map(|_| pool.take().unwrap()).collect();
        assert!(content(&pool, &first).iter().all(|value| *value == 7.0));
        assert_eq!(content(&pool, &first), content(&pool, &copy));
        assert!(others.iter().all(|page| content(&pool, page)[0] == 0.0));
    }

    #[test]
    fn what_others_have_left_is_cleared() {
        let pool = pool();
        let kept = pool.take().unwrap();
        let left = pool.take().unwrap();
        fill(&pool, &left, f32::NAN);
        drop(left);
        let taken = pool.take().unwrap();
        assert_eq!(taken.number(), 1);
        assert!(content(&pool, &taken).iter().all(|value| *value == 0.0));
        drop(kept);
    }

    #[test]
    fn the_first_free_page_is_taken() {
        let pool = pool();
        let mut pages: Vec<Page> = (0..4).map(|_| pool.take().unwrap()).collect();
        drop(pages.remove(1));
        assert_eq!(pool.take().unwrap().number(), 1);
    }
}
