//! Whether each rule of a grammar has a text that ends.
//!
//! A rule such as `list: "(" list ")"` allows every beginning and no end, and an answer that came to
//! it would go on until its tokens are used up. So grammars in which such a rule can be reached are
//! refused. A symbol ends if it is a terminal that matches something or if a rule of it has only
//! symbols that end; that is found from the terminals upwards, in time linear in the grammar.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, bail};
use llguidance::api::ParserLimits;
use llguidance::earley::regexvec::RegexVec;
use llguidance::earley::{CGrammar, CSymIdx};

/// Refuses a grammar that can be entered and never left.
pub(super) fn check(grammar: &CGrammar, limits: &ParserLimits) -> Result<()> {
    let reachable = reachable(grammar);
    let mut endings = Endings::default();
    let mut terminals = grammar.lexer_spec().to_regex_vec(&mut limits.clone())?;
    for symbol in &reachable {
        endings.read(grammar, &mut terminals, *symbol);
    }
    endings.spread();
    let endless = reachable
        .iter()
        .find(|symbol| !endings.ends.contains(symbol));
    if let Some(symbol) = endless {
        let name = &grammar.sym_data(*symbol).name;
        bail!("it can come to a part that no text ends ({name})");
    }
    Ok(())
}

fn reachable(grammar: &CGrammar) -> Vec<CSymIdx> {
    let mut seen = HashSet::from([grammar.start()]);
    let mut found = vec![grammar.start()];
    let mut next = 0;
    while let Some(symbol) = found.get(next).copied() {
        next += 1;
        for rule in grammar.rules_of(symbol) {
            for part in grammar.rule_rhs(*rule).0 {
                if seen.insert(*part) {
                    found.push(*part);
                }
            }
        }
    }
    found
}

#[derive(Default)]
struct Endings {
    /// Symbols that are known to end.
    ends: HashSet<CSymIdx>,
    /// Those of them whose rules were not looked at yet.
    new: Vec<CSymIdx>,
    /// Of each rule, whose it is and how many parts are not known to end.
    rules: Vec<(CSymIdx, usize)>,
    /// The rules that each symbol is a part of, once for each time.
    part_of: HashMap<CSymIdx, Vec<usize>>,
}

impl Endings {
    fn read(&mut self, grammar: &CGrammar, terminals: &mut RegexVec, symbol: CSymIdx) {
        let data = grammar.sym_data(symbol);
        let may_be_empty = data.is_nullable || !data.cond_nullable.is_empty();
        if may_be_empty || matches_something(grammar, terminals, symbol) {
            self.add(symbol);
        }
        for rule in &data.rules {
            let parts = grammar.rule_rhs(*rule).0;
            for part in parts {
                self.part_of
                    .entry(*part)
                    .or_default()
                    .push(self.rules.len());
            }
            self.rules.push((symbol, parts.len()));
        }
    }

    fn add(&mut self, symbol: CSymIdx) {
        if self.ends.insert(symbol) {
            self.new.push(symbol);
        }
    }

    fn spread(&mut self) {
        while let Some(symbol) = self.new.pop() {
            for rule in self.part_of.remove(&symbol).unwrap_or_default() {
                let (of, left) = &mut self.rules[rule];
                *left -= 1;
                if *left == 0 {
                    let of = *of;
                    self.add(of);
                }
            }
        }
    }
}

/// Whether it is a terminal that some text is.
fn matches_something(grammar: &CGrammar, terminals: &mut RegexVec, symbol: CSymIdx) -> bool {
    let Some(lexeme) = grammar.sym_data(symbol).lexeme else {
        return false;
    };
    let mut only = grammar.lexer_spec().alloc_lexeme_set();
    only.add(lexeme);
    !terminals.initial_state(&only).is_dead()
}
