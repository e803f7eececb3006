//! Which tokens' keys and values are known: a tree of blocks.
//!
//! A path from a root is a text. Each node holds the block of its next [`BLOCK_TOKENS`] tokens, or of
//! fewer where the text ended; only full nodes have children. A lookup is exact to the token, because
//! a block also serves those who want no more than its beginning.
//!
//! The children of a node are kept in the order of their tokens, and none begins with all of another.
//! So the child that shares the most with given tokens is a neighbour of the place where they would
//! stand, and finding it takes the logarithm of the number of chats after one system prompt.
//!
//! What was used longest ago is dropped first, from the leaves on. The nodes that one call used lie on
//! one path and carry its number, so leaves never tie.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use super::model::BLOCK_TOKENS;

/// The known texts, in blocks of `BLOCK` tokens. Texts of different kinds `K` share nothing: see
/// [`CacheKind`](super::cache_kind::CacheKind).
#[derive(Debug)]
pub(crate) struct PrefixTree<B, K, const BLOCK: usize = BLOCK_TOKENS> {
    nodes: HashMap<NodeId, Node<B, K>>,
    /// Only of parents that have children.
    children: HashMap<Parent<K>, Children>,
    /// The nodes without children, by last use.
    leaves: BTreeSet<(u64, NodeId)>,
    /// Number of the last call that used nodes.
    clock: u64,
    next_id: NodeId,
    tokens: usize,
}

/// The part of some tokens that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix<B> {
    /// The blocks of the tokens, of which the last may hold more tokens than are wanted.
    pub(crate) blocks: Vec<B>,
    /// How many of the tokens are known.
    pub(crate) len: usize,
}

type NodeId = u64;

/// The next blocks after a parent, by their tokens.
type Children = BTreeMap<Arc<[u32]>, NodeId>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Parent<K> {
    /// The empty text of a kind.
    Root(K),
    Node(NodeId),
}

#[derive(Debug)]
struct Node<B, K> {
    parent: Parent<K>,
    tokens: Arc<[u32]>,
    block: B,
    last_used: u64,
}

/// How far one gets in the tree: each node but the last is used whole.
struct Path {
    nodes: Vec<NodeId>,
    len: usize,
}

impl<B: Clone, K: Clone + Eq + Hash, const BLOCK: usize> PrefixTree<B, K, BLOCK> {
    /// A tree that knows nothing.
    pub(crate) fn new() -> Self {
        const { assert!(BLOCK > 0, "a block holds a token") };
        Self {
            nodes: HashMap::new(),
            children: HashMap::new(),
            leaves: BTreeSet::new(),
            clock: 0,
            next_id: 0,
            tokens: 0,
        }
    }

    /// The longest known beginning of `tokens`, to the token. It counts as used.
    pub(crate) fn find(&mut self, kind: &K, tokens: &[u32]) -> Prefix<B> {
        let path = self.walk(kind, tokens);
        self.touch(&path.nodes);
        let blocks = path.nodes.iter().map(|id| self.nodes[id].block.clone());
        Prefix {
            blocks: blocks.collect(),
            len: path.len,
        }
    }

    /// How many of the first of `tokens` are known. They do not count as used.
    pub(crate) fn matched(&self, kind: &K, tokens: &[u32]) -> usize {
        self.walk(kind, tokens).len
    }

    /// Makes `tokens` known, which count as used, and returns how many blocks are new.
    ///
    /// `block_of` is asked for the new blocks only, by their place in the text. A block that ends early
    /// gives way to a longer one that begins with it; a longer one that is there already stays. When
    /// `block_of` fails, the blocks before are known and all else is as it was.
    pub(crate) fn insert<E>(
        &mut self,
        kind: &K,
        tokens: &[u32],
        mut block_of: impl FnMut(usize) -> Result<B, E>,
    ) -> Result<usize, E> {
        let mut known = self.walk(kind, tokens);
        if known.len == tokens.len() {
            self.touch(&known.nodes);
            return Ok(0);
        }
        let mut outgrown = self.split_off_outgrown(&mut known);
        self.touch(&known.nodes);
        let mut parent = match known.nodes.last() {
            Some(&id) => Parent::Node(id),
            None => Parent::Root(kind.clone()),
        };
        let mut new = 0;
        for (index, tokens) in tokens.chunks(BLOCK).enumerate().skip(known.nodes.len()) {
            let block = block_of(index)?;
            if let Some(shorter) = outgrown.take() {
                self.remove(shorter);
            }
            parent = Parent::Node(self.add(parent, tokens, block));
            new += 1;
        }
        Ok(new)
    }

    /// Drops the leaf that was used longest ago; false if nothing is known.
    pub(crate) fn evict_one(&mut self) -> bool {
        let oldest = self.leaves.first().map(|&(_, id)| id);
        if let Some(id) = oldest {
            self.remove(id);
        }
        oldest.is_some()
    }

    /// Tokens of all blocks.
    pub(crate) fn len_tokens(&self) -> usize {
        self.tokens
    }

    /// Blocks.
    #[cfg(test)]
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Follows `tokens` block by block, and ends with a block of which only the beginning fits.
    fn walk(&self, kind: &K, tokens: &[u32]) -> Path {
        let mut nodes = Vec::new();
        let mut len = 0;
        let mut parent = Parent::Root(kind.clone());
        while let Some((id, shared)) = self.closest_child(&parent, &tokens[len..]) {
            nodes.push(id);
            len += shared;
            if shared < BLOCK {
                break;
            }
            parent = Parent::Node(id);
        }
        Path { nodes, len }
    }

    /// The child that shares the most of its first tokens with `rest`, and how many; none if that is
    /// not even one. Of two, the first in order.
    fn closest_child(&self, parent: &Parent<K>, rest: &[u32]) -> Option<(NodeId, usize)> {
        let children = self.children.get(parent)?;
        let wanted = &rest[..rest.len().min(BLOCK)];
        let mut before = children.range::<[u32], _>((Unbounded, Included(wanted)));
        let after = children.range::<[u32], _>((Excluded(wanted), Unbounded));
        let neighbours = before.next_back().into_iter().chain(after.take(1));
        neighbours
            .map(|(tokens, &id)| (id, shared_len(tokens, wanted)))
            .filter(|&(_, shared)| shared > 0)
            .reduce(|first, second| if second.1 > first.1 { second } else { first })
    }

    /// Takes the last node off the path if only a part of it was used, and returns it if that part was
    /// all it holds.
    fn split_off_outgrown(&self, path: &mut Path) -> Option<NodeId> {
        let shared = path.len % BLOCK;
        let last = path.nodes.pop_if(|_| shared > 0)?;
        (self.nodes[&last].tokens.len() == shared).then_some(last)
    }

    /// Notes that the nodes of a path are used.
    fn touch(&mut self, path: &[NodeId]) {
        self.clock += 1;
        for &id in path {
            let Some(node) = self.nodes.get_mut(&id) else {
                continue;
            };
            let was_leaf = self.leaves.remove(&(node.last_used, id));
            node.last_used = self.clock;
            if was_leaf {
                self.leaves.insert((node.last_used, id));
            }
        }
    }

    /// Adds a leaf, used at the present clock.
    fn add(&mut self, parent: Parent<K>, tokens: &[u32], block: B) -> NodeId {
        let id = self.next_id;
        self.next_id += 1;
        let node = Node {
            parent: parent.clone(),
            tokens: Arc::from(tokens),
            block,
            last_used: self.clock,
        };
        if let Some(leaf) = self.leaf_entry(&parent) {
            self.leaves.remove(&leaf);
        }
        let siblings = self.children.entry(parent).or_default();
        siblings.insert(Arc::clone(&node.tokens), id);
        self.leaves.insert((node.last_used, id));
        self.tokens += tokens.len();
        self.nodes.insert(id, node);
        id
    }

    /// Removes a leaf; its parent may become one.
    fn remove(&mut self, id: NodeId) {
        let Some(node) = self.nodes.remove(&id) else {
            return;
        };
        self.tokens -= node.tokens.len();
        self.leaves.remove(&(node.last_used, id));
        let Entry::Occupied(mut siblings) = self.children.entry(node.parent.clone()) else {
            return;
        };
        siblings.get_mut().remove(&node.tokens);
        if siblings.get().is_empty() {
            siblings.remove();
            self.leaves.extend(self.leaf_entry(&node.parent));
        }
    }

    /// What stands for a parent among the leaves when it has no children; a root is never dropped.
    fn leaf_entry(&self, parent: &Parent<K>) -> Option<(u64, NodeId)> {
        match parent {
            Parent::Root(_) => None,
            Parent::Node(id) => Some((self.nodes.get(id)?.last_used, *id)),
        }
    }
}

/// How many of their first tokens are the same.
fn shared_len(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
