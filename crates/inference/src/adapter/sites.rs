//! The products of a block, each of one or more matrices that share an input.

/// A product of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// Queries, keys and values side by side.
    QueryKeyValue,
    /// What attention puts out.
    AttentionOutput,
    /// Gate and up side by side.
    GateUp,
    /// What the feed-forward part puts out.
    Down,
}

impl Site {
    pub(super) const ALL: [Site; 4] = [
        Site::QueryKeyValue,
        Site::AttentionOutput,
        Site::GateUp,
        Site::Down,
    ];
}

/// What an adapter has for the products of a block.
#[derive(Debug)]
pub(crate) struct Sites<S>([Option<S>; 4]);

impl<S> Sites<S> {
    pub(super) fn from_each<E>(
        mut each: impl FnMut(Site) -> Result<Option<S>, E>,
    ) -> Result<Self, E> {
        let [first, second, third, fourth] = Site::ALL;
        Ok(Self([
            each(first)?,
            each(second)?,
            each(third)?,
            each(fourth)?,
        ]))
    }

    /// What it has for a product, if it changes it.
    pub(crate) fn get(&self, site: Site) -> Option<&S> {
        self.0[site as usize].as_ref()
    }

    /// What it has for each that it changes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &S> {
        self.0.iter().flatten()
    }

    /// The same in another form.
    pub(crate) fn try_map<T, E>(
        &self,
        mut form: impl FnMut(&S) -> Result<T, E>,
    ) -> Result<Sites<T>, E> {
        Sites::from_each(|site| self.get(site).map(&mut form).transpose())
    }
}
