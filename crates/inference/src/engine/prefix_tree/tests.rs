//! The tree against a list of all known blocks that is searched from end to end.

use std::convert::Infallible;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const BLOCK: usize = 4;

/// A block that says of which text it is the end.
type Tag = (u64, Vec<u32>);
type Tree = PrefixTree<Tag, u64, BLOCK>;

fn know(tree: &mut Tree, kind: u64, tokens: &[u32]) -> usize {
    let tag = |index| Ok::<_, Infallible>(tag(kind, tokens, index));
    let Ok(new) = tree.insert(&kind, tokens, tag);
    new
}

fn tag(kind: u64, tokens: &[u32], index: usize) -> Tag {
    let end = tokens.len().min((index + 1) * BLOCK);
    (kind, tokens[..end].to_vec())
}

/// Where the last block of a text begins.
fn last_block(text: &[u32]) -> usize {
    (text.len() - 1) / BLOCK * BLOCK
}

#[derive(Debug)]
struct Known {
    tag: Tag,
    used: u64,
}

/// What the tree promises, without a tree.
#[derive(Debug, Default)]
struct Model {
    known: Vec<Known>,
    clock: u64,
}

impl Model {
    fn matched(&self, kind: u64, tokens: &[u32]) -> usize {
        let of_kind = self.known.iter().filter(|known| known.tag.0 == kind);
        of_kind
            .map(|known| shared_len(&known.tag.1, tokens))
            .max()
            .unwrap_or(0)
    }

    /// The whole blocks of what is known of `tokens`, and the one that a rest comes from: of those that
    /// share as much, the last that is not behind the tokens in order, else the first.
    fn touch(&mut self, kind: u64, tokens: &[u32]) {
        self.clock += 1;
        let len = self.matched(kind, tokens);
        let start = len / BLOCK * BLOCK;
        let wanted = &tokens[..tokens.len().min(start + BLOCK)];
        let rest = self.known.iter().map(|known| &known.tag).filter(|tag| {
            let in_block = tag.1.len() > start && last_block(&tag.1) == start;
            len > start && tag.0 == kind && in_block && shared_len(&tag.1, wanted) == len
        });
        let (before, after): (Vec<_>, Vec<_>) = rest.partition(|tag| tag.1.as_slice() <= wanted);
        let rest = before.into_iter().max().or(after.into_iter().min());
        let rest = rest.cloned();
        for known in &mut self.known {
            let whole = known.tag.1.len() % BLOCK == 0 && tokens.starts_with(&known.tag.1);
            if known.tag.0 == kind && whole || Some(&known.tag) == rest.as_ref() {
                known.used = self.clock;
            }
        }
    }

    /// Returns the places of the new blocks, of which the first `most` are made.
    fn insert(&mut self, kind: u64, tokens: &[u32], most: usize) -> Vec<usize> {
        let blocks = tokens.len().div_ceil(BLOCK);
        let missing = (0..blocks).filter(|&index| {
            let (_, wanted) = tag(kind, tokens, index);
            let same_block = |text: &[u32]| last_block(text) == index * BLOCK;
            let mut texts = self.known.iter().map(|known| &known.tag);
            !texts.any(|(of, text)| *of == kind && same_block(text) && text.starts_with(&wanted))
        });
        let missing: Vec<_> = missing.collect();
        match missing.first() {
            Some(first) => self.touch(kind, &tokens[..first * BLOCK]),
            None => self.touch(kind, tokens),
        }
        for &index in missing.iter().take(most) {
            let tag = tag(kind, tokens, index);
            self.known.retain(|known| {
                let outgrown = last_block(&known.tag.1) == index * BLOCK;
                !(known.tag.0 == kind && outgrown && tag.1.starts_with(&known.tag.1))
            });
            let used = self.clock;
            self.known.push(Known { tag, used });
        }
        missing
    }

    fn evict(&mut self) -> bool {
        let is_leaf = |tag: &Tag| {
            let mut others = self.known.iter().map(|known| &known.tag);
            !others.any(|other| other != tag && other.0 == tag.0 && other.1.starts_with(&tag.1))
        };
        let leaves = (0..self.known.len()).filter(|&index| is_leaf(&self.known[index].tag));
        let oldest = leaves.min_by_key(|&index| self.known[index].used);
        oldest.map(|index| self.known.remove(index)).is_some()
    }
}

fn assert_same(tree: &Tree, model: &Model) {
    let mut tags: Vec<_> = tree.nodes.values().map(|node| &node.block).collect();
    let mut expected: Vec<_> = model.known.iter().map(|known| &known.tag).collect();
    tags.sort();
    expected.sort();
    assert_eq!(tags, expected);
    let tokens = |tag: &Tag| tag.1.len() - last_block(&tag.1);
    let sum = expected.iter().map(|&tag| tokens(tag)).sum::<usize>();
    assert_eq!((tree.nodes(), tree.len_tokens()), (model.known.len(), sum));
    let inner = tree.children.len() - tree.children.keys().filter(is_root).count();
    assert_eq!(tree.leaves.len(), tree.nodes.len() - inner);
}

fn is_root(parent: &&Parent<u64>) -> bool {
    matches!(parent, Parent::Root(_))
}

fn random_text(random: &mut StdRng, letters: u32) -> Vec<u32> {
    let len = random.random_range(0..=4 * BLOCK);
    (0..len).map(|_| random.random_range(0..letters)).collect()
}

/// A beginning of something known and then something else, as prompts are; or just something.
fn related_text(random: &mut StdRng, letters: u32, model: &Model) -> Vec<u32> {
    let mut text = Vec::new();
    if !model.known.is_empty() && random.random_bool(0.6) {
        let known = &model.known[random.random_range(0..model.known.len())].tag.1;
        text.extend(&known[..random.random_range(0..=known.len())]);
    }
    text.extend(random_text(random, letters));
    text
}

#[test]
fn random_work_gives_what_the_list_gives() {
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let letters = 1 + (seed % 3) as u32;
        let most = random.random_range(2..40);
        let (mut tree, mut model) = (Tree::new(), Model::default());
        for _ in 0..200 {
            let kind = random.random_range(0..2);
            let text = related_text(&mut random, letters, &model);
            let expected = model.matched(kind, &text);
            assert_eq!(
                tree.matched(&kind, &text),
                expected,
                "seed {seed}: {text:?}"
            );
            match random.random_range(0..4) {
                0 => {
                    model.touch(kind, &text);
                    let found = tree.find(&kind, &text);
                    assert_eq!(found.len, expected);
                    assert_blocks(&found, kind, &text);
                }
                1 => assert_eq!(tree.evict_one(), model.evict()),
                _ => insert_in_both(&mut random, &mut tree, &mut model, kind, &text),
            }
            while model.known.len() > most {
                assert!(tree.evict_one() && model.evict());
            }
            assert_same(&tree, &model);
        }
        while model.evict() {
            assert!(tree.evict_one());
            assert_same(&tree, &model);
        }
        assert!(!tree.evict_one());
    }
}

/// The blocks stand for the tokens that were found, each from its place on.
fn assert_blocks(found: &Prefix<Tag>, kind: u64, text: &[u32]) {
    assert_eq!(found.blocks.len(), found.len.div_ceil(BLOCK));
    for (index, (of, known)) in found.blocks.iter().enumerate() {
        let end = found.len.min((index + 1) * BLOCK);
        assert_eq!((*of, last_block(known)), (kind, index * BLOCK));
        assert!(known.starts_with(&text[..end]), "{known:?} in {text:?}");
    }
}

/// One time in four the block after a few new ones cannot be had.
fn insert_in_both(
    random: &mut StdRng,
    tree: &mut Tree,
    model: &mut Model,
    kind: u64,
    text: &[u32],
) {
    let most = match random.random_bool(0.25) {
        true => random.random_range(0..3),
        false => usize::MAX,
    };
    let missing = model.insert(kind, text, most);
    let mut asked = Vec::new();
    let inserted = tree.insert(&kind, text, |index| {
        if asked.len() == most {
            return Err("no memory");
        }
        asked.push(index);
        Ok(tag(kind, text, index))
    });
    let made = missing.len().min(most);
    assert_eq!(asked, missing[..made]);
    match made == missing.len() {
        true => assert_eq!(inserted, Ok(made)),
        false => assert_eq!(inserted, Err("no memory")),
    }
}

#[test]
fn a_block_serves_those_who_want_its_beginning() {
    let mut tree = Tree::new();
    assert_eq!(know(&mut tree, 0, &[1, 2, 3, 4, 5, 6, 7, 8]), 2);
    assert_eq!(tree.find(&0, &[1, 2, 3, 4, 5, 6, 9]).len, 6);
    assert_eq!(tree.find(&0, &[1, 2, 9]).blocks, [(0, vec![1, 2, 3, 4])]);
    assert_eq!(tree.matched(&0, &[9, 2, 3]), 0);
    assert_eq!(tree.matched(&0, &[]), 0);
    assert_eq!(tree.matched(&1, &[1, 2, 3, 4]), 0, "another kind");
    while tree.evict_one() {}
    assert_eq!((tree.matched(&0, &[1]), tree.nodes()), (0, 0));
}

#[test]
fn a_text_that_goes_on_replaces_its_last_block_only() {
    let mut tree = Tree::new();
    assert_eq!(know(&mut tree, 0, &[1, 2, 3, 4, 5]), 2);
    assert_eq!(know(&mut tree, 0, &[1, 2, 3, 4, 5, 6, 7, 8, 9]), 2);
    assert_eq!((tree.nodes(), tree.len_tokens()), (3, 9));
    assert_eq!(
        know(&mut tree, 0, &[1, 2, 3, 4, 5, 6]),
        0,
        "known as a part"
    );
    assert_eq!(know(&mut tree, 0, &[1, 2, 3, 4, 5, 7]), 1, "another text");
    assert_eq!(tree.nodes(), 4);
}

#[test]
fn the_leaf_that_was_used_longest_ago_goes_first() {
    let mut tree = Tree::new();
    let system = [1, 1, 1, 1];
    let chat = |last: u32| [&system[..], &[last; 4]].concat();
    for last in 2..5 {
        know(&mut tree, 0, &chat(last));
    }
    tree.find(&0, &chat(2));
    tree.matched(&0, &chat(3));
    assert!(tree.evict_one());
    assert_eq!(tree.matched(&0, &chat(3)), 4, "a look is not a use");
    assert!(tree.evict_one());
    assert_eq!(tree.matched(&0, &chat(4)), 4);
    assert_eq!(tree.matched(&0, &chat(2)), 8, "used last");
    tree.find(&0, &system);
    assert!(tree.evict_one());
    assert_eq!(
        tree.matched(&0, &chat(2)),
        4,
        "an inner node stays until it is a leaf"
    );
    assert!(tree.evict_one());
    assert_eq!(tree.nodes(), 0);
}

#[test]
fn the_closest_of_many_children_is_found() {
    let mut tree = Tree::new();
    let mut texts = Vec::new();
    for a in 0..10 {
        for b in 0..10 {
            texts.push([7, 7, 7, 7, 2 * a, 2 * b, 2 * a, 2 * b]);
        }
    }
    for text in &texts {
        know(&mut tree, 0, text);
    }
    assert_eq!(tree.nodes(), 1 + texts.len());
    for a in 0..20 {
        for b in 0..20 {
            let expected = match (a % 2, b % 2) {
                (1, _) => 4,
                (_, 1) => 5,
                _ => 7,
            };
            let wanted = [7, 7, 7, 7, a, b, a, 99];
            assert_eq!(tree.find(&0, &wanted).len, expected, "{wanted:?}");
        }
    }
}
