//! What the tower made of pictures, as long as there is memory for it.

use std::collections::HashMap;
use std::sync::Arc;

use longtrainer_images::{Detail, PictureHash};

use crate::prompt::FrameSpan;

/// A picture, looked at in some way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct View {
    pub(super) hash: PictureHash,
    pub(super) detail: Detail,
    /// Who may know that it was looked at: [`GenerateRequest::cache_scope`](crate::GenerateRequest::cache_scope).
    pub(super) scope: Option<Arc<str>>,
}

/// The soft tokens of a picture, frame by frame.
#[derive(Debug)]
pub(super) struct Features {
    first: u32,
    tokens_a_frame: usize,
    rows: Arc<[f32]>,
}

impl Features {
    /// Rows of the text model's width, of which the first has the number `first`.
    pub(super) fn new(first: u32, tokens_a_frame: usize, rows: Vec<f32>) -> Self {
        Self {
            first,
            tokens_a_frame,
            rows: rows.into(),
        }
    }

    /// The number of the first.
    pub(super) fn first(&self) -> u32 {
        self.first
    }

    /// Their rows.
    pub(super) fn rows(&self) -> Arc<[f32]> {
        Arc::clone(&self.rows)
    }

    /// The numbers of a frame's tokens.
    pub(super) fn frame(&self, span: &FrameSpan) -> impl Iterator<Item = u32> + use<> {
        self.first + (span.frame * self.tokens_a_frame) as u32..
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.rows)
    }
}

/// What is kept, under a budget.
#[derive(Debug)]
pub(super) struct FeatureCache {
    budget: usize,
    bytes: usize,
    /// With the number of the last call that used them.
    kept: HashMap<View, (u64, Arc<Features>)>,
    clock: u64,
}

impl FeatureCache {
    pub(super) fn new(budget: usize) -> Self {
        Self {
            budget,
            bytes: 0,
            kept: HashMap::new(),
            clock: 0,
        }
    }

    /// What is known of a picture, which counts as used.
    pub(super) fn find(&mut self, view: &View) -> Option<Arc<Features>> {
        self.clock += 1;
        let (last_used, features) = self.kept.get_mut(view)?;
        *last_used = self.clock;
        Some(Arc::clone(features))
    }

    /// Keeps what was made of a picture. What was used longest ago makes room for it; what is larger than
    /// the budget is not kept.
    pub(super) fn keep(&mut self, view: View, features: &Arc<Features>) {
        if features.bytes() > self.budget {
            return;
        }
        self.forget(&view);
        while self.bytes + features.bytes() > self.budget {
            let oldest = self
                .kept
                .iter()
                .min_by_key(|(_, (last_used, _))| *last_used);
            let Some((oldest, _)) = oldest else { break };
            self.forget(&oldest.clone());
        }
        self.clock += 1;
        self.bytes += features.bytes();
        self.kept.insert(view, (self.clock, Arc::clone(features)));
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget(&mut self, view: &View) {
        if let Some((_, features)) = self.kept.remove(view) {
            self.bytes -= features.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use longtrainer_images::Picture;

    use super::*;

    fn view(name: &'static str) -> View {
        View {
            hash: Picture::new("x", name.as_bytes()).hash(),
            detail: Detail::Low,
            scope: None,
        }
    }

    fn features(first: u32) -> Arc<Features> {
        Arc::new(Features::new(first, 2, vec![0.0; 10]))
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let mut cache = FeatureCache::new(100);
        cache.keep(view("a"), &features(1));
        cache.keep(view("b"), &features(2));
        assert_eq!(cache.find(&view("a")).unwrap().first(), 1);
        cache.keep(view("c"), &features(3));
        assert!(cache.find(&view("b")).is_none());
        assert!(cache.find(&view("a")).is_some() && cache.find(&view("c")).is_some());
        assert_eq!(cache.bytes(), 80);
        cache.keep(view("c"), &features(4));
        assert_eq!(cache.find(&view("c")).unwrap().first(), 4);
        assert_eq!(cache.bytes(), 80);
    }

    #[test]
    fn what_is_larger_than_the_budget_is_not_kept() {
        let mut cache = FeatureCache::new(39);
        cache.keep(view("a"), &features(1));
        assert!(cache.find(&view("a")).is_none());
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn the_same_picture_in_other_detail_or_of_others_is_another_view() {
        let low = view("a");
        let high = View {
            detail: Detail::High,
            ..low.clone()
        };
        let of_others = View {
            scope: Some("acme".into()),
            ..low.clone()
        };
        let mut cache = FeatureCache::new(1000);
        cache.keep(low, &features(1));
        assert!(cache.find(&high).is_none());
        assert!(cache.find(&of_others).is_none());
    }
}
