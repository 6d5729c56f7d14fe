//! Collects the outcomes of an expression over all choices of values for its paths. Terms that share no path are independent, so their
//! outcomes are found one by one and combined; terms that do are searched together, and a branch that cannot add an outcome is left out.

use std::{collections::HashSet, ops::Range};

use super::{
    candidates::{Variable, variables},
    outcomes::Outcomes,
    situation::{Place, Situation},
};
use crate::{
    Collection, Truth,
    condition::{Expression, Path},
};

/// How many terms a review may decide. It takes about 20 ms and is only reached by conditions that are made to reach it.
const DECISIONS_MAX: usize = 200_000;

/// How many of them there are at least for the question about a single path.
const SHARE_MIN: usize = 1_000;

/// How many of them may be spent on finding candidates of one path that are alike.
const MERGING_MAX: usize = 10_000;

/// A part of the expression, with the variables that it depends on.
struct Node {
    kind: Kind,
    variables: Vec<usize>,
}

enum Kind {
    /// A term that looks at values, or a constant: an index into the leaves.
    Leaf(usize),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
}

/// The review of one expression.
pub(super) struct Search<'a> {
    tree: Node,
    choices: Choices<'a>,
    /// How many decisions a question about a single path may take.
    share: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(expression: &'a Expression, collection: &'a Collection) -> Self {
        let variables = variables(expression, collection);
        let mut choices = Choices {
            leaves: Vec::new(),
            ranges: variables.iter().map(|variable| 0..variable.candidates.len()).collect(),
            chosen: vec![0; variables.len()],
            variables,
            looked_at: None,
            situation: Situation::new(),
            outcomes: Vec::new(),
            decisions_left: DECISIONS_MAX,
        };
        let tree = choices.plant(expression);
        Self { tree, choices, share: DECISIONS_MAX }
    }

    /// Everything that the expression can come out as.
    pub(super) fn outcomes(&mut self) -> Outcomes {
        self.choices.merge();
        self.choices.decide_leaves();
        self.choices.outcomes(&self.tree)
    }

    /// Allows the questions about single paths as many decisions in all as the outcomes took at most.
    pub(super) fn share(&mut self, questions: usize) {
        self.share = (DECISIONS_MAX / questions.max(1)).max(SHARE_MIN);
    }

    /// True if the expression can be unknown only because there is nothing at this path.
    pub(super) fn is_unguarded(&mut self, path: &Path) -> bool {
        let place = Place::of(path);
        let Some(index) = self.choices.variables.iter().position(|variable| variable.place == place) else { return false };
        if !self.choices.variables[index].may_be_missing() {
            return false;
        }
        self.choices.decisions_left = self.share;
        self.choices.look_at(index);
        self.choices.outcomes(&self.tree).can_be_unknown()
    }
}

/// A term and what it depends on.
struct Leaf<'a> {
    term: &'a Expression,
    variables: Vec<usize>,
    /// What it can come out as over all choices, before any path is looked at.
    at_all: Outcomes,
}

/// The values that may be chosen, and those that are.
struct Choices<'a> {
    leaves: Vec<Leaf<'a>>,
    variables: Vec<Variable>,
    /// Which candidates of each variable are under review.
    ranges: Vec<Range<usize>>,
    chosen: Vec<usize>,
    /// The variable that is missing, if this is asked.
    looked_at: Option<usize>,
    situation: Situation,
    /// What each leaf can come out as under the choices that are made.
    outcomes: Vec<Outcomes>,
    decisions_left: usize,
}

impl<'a> Choices<'a> {
    fn plant(&mut self, expression: &'a Expression) -> Node {
        let kind = match expression {
            Expression::And(terms) => Kind::All(terms.iter().map(|term| self.plant(term)).collect()),
            Expression::Or(terms) => Kind::Any(terms.iter().map(|term| self.plant(term)).collect()),
            Expression::Not(term) => Kind::Not(Box::new(self.plant(term))),
            term => {
                let variables = self.variables_of(term);
                self.leaves.push(Leaf { term, variables, at_all: Outcomes::NONE });
                self.outcomes.push(Outcomes::NONE);
                Kind::Leaf(self.leaves.len() - 1)
            }
        };
        let mut variables = match &kind {
            Kind::Leaf(leaf) => self.leaves[*leaf].variables.clone(),
            Kind::Not(term) => term.variables.clone(),
            Kind::All(terms) | Kind::Any(terms) => terms.iter().flat_map(|term| term.variables.iter().copied()).collect(),
        };
        variables.sort_unstable();
        variables.dedup();
        Node { kind, variables }
    }

    fn variables_of(&self, term: &Expression) -> Vec<usize> {
        let mut places = Vec::new();
        term.each_path(&mut |path| places.push(Place::of(path)));
        let matters = |variable: &Variable| places.iter().any(|place| variable.place.leads_to(place));
        (0..self.variables.len()).filter(|index| matters(&self.variables[*index])).collect()
    }

    fn decide_leaves(&mut self) {
        for leaf in 0..self.leaves.len() {
            self.leaves[leaf].at_all = self.decide_leaf(leaf);
            self.outcomes[leaf] = self.leaves[leaf].at_all;
        }
    }

    /// From now on, this variable is missing, and the one that was looked at before may be there again.
    fn look_at(&mut self, index: usize) {
        if let Some(before) = self.looked_at.replace(index) {
            self.ranges[before] = 0..self.variables[before].candidates.len();
        }
        self.ranges[index] = self.variables[index].missing();
        for leaf in 0..self.leaves.len() {
            let is_concerned = self.leaves[leaf].variables.contains(&index);
            self.outcomes[leaf] = if is_concerned { self.decide_leaf(leaf) } else { self.leaves[leaf].at_all.otherwise() };
        }
    }

    /// What a leaf can come out as, over all choices for its variables.
    fn decide_leaf(&mut self, leaf: usize) -> Outcomes {
        let variables = self.leaves[leaf].variables.clone();
        let all = if self.looked_at.is_none() { Outcomes::ANY } else { Outcomes::ANY.or(Outcomes::ANY.otherwise()) };
        for variable in &variables {
            self.choose(*variable, self.ranges[*variable].start);
        }
        let mut found = Outcomes::NONE;
        loop {
            if self.decisions_left == 0 {
                return all;
            }
            found = found.or(self.decide(leaf));
            if found == all || !self.advance(&variables) {
                return found;
            }
        }
    }

    /// Moves on to the next combination; false after the last.
    fn advance(&mut self, variables: &[usize]) -> bool {
        for variable in variables {
            let next = self.chosen[*variable] + 1;
            if next < self.ranges[*variable].end {
                self.choose(*variable, next);
                return true;
            }
            self.choose(*variable, self.ranges[*variable].start);
        }
        false
    }

    fn choose(&mut self, variable: usize, candidate: usize) {
        self.chosen[variable] = candidate;
        self.put(variable);
        // What lies inside is put again, which takes its time as well.
        self.decisions_left = self.decisions_left.saturating_sub(self.variables[variable].leads_to.len() / 4);
        for inner in 0..self.variables[variable].leads_to.len() {
            self.put(self.variables[variable].leads_to[inner]);
        }
    }

    fn put(&mut self, variable: usize) {
        let Variable { place, candidates, .. } = &self.variables[variable];
        self.situation.put(place, &candidates[self.chosen[variable]]);
    }

    fn decide(&mut self, leaf: usize) -> Outcomes {
        self.decisions_left = self.decisions_left.saturating_sub(1);
        let (Leaf { term, variables, .. }, context) = (&self.leaves[leaf], self.situation.context());
        let truth = term.evaluate(&context);
        let is_own = self.looked_at.is_none_or(|index| {
            let is_own = |name: &str| term.doubts(&context).iter().all(|doubt| doubt.path == name);
            truth == Truth::Unknown && variables.contains(&index) && is_own(&self.variables[index].place.name())
        });
        Outcomes::of(truth, is_own)
    }

    /// Leaves out candidates that make no difference to any term, whatever the other paths are. Most of what is between constants is like
    /// something else, and a search over several paths multiplies them.
    fn merge(&mut self) {
        for variable in 0..self.variables.len() {
            let leaves: Vec<usize> = (0..self.leaves.len()).filter(|leaf| self.leaves[*leaf].variables.contains(&variable)).collect();
            let combinations = |leaf: &usize| {
                self.leaves[*leaf].variables.iter().fold(1, |product: usize, at| product.saturating_mul(self.ranges[*at].len()))
            };
            let cost = leaves.iter().map(combinations).fold(0, usize::saturating_add);
            if cost > MERGING_MAX || cost > self.decisions_left {
                continue;
            }
            let mut seen = HashSet::new();
            let keep: Vec<bool> = self.ranges[variable]
                .clone()
                .map(|candidate| {
                    self.choose(variable, candidate);
                    let effects = leaves.iter().flat_map(|leaf| self.effects(*leaf, variable)).collect::<Vec<_>>();
                    seen.insert((effects, self.variables[variable].missing().contains(&candidate)))
                })
                .collect();
            self.variables[variable].retain(&keep);
            self.ranges[variable] = 0..self.variables[variable].candidates.len();
            self.choose(variable, 0);
        }
    }

    /// What a leaf comes out as for each choice of its other variables.
    fn effects(&mut self, leaf: usize, fixed: usize) -> Vec<Outcomes> {
        let others: Vec<usize> = self.leaves[leaf].variables.iter().copied().filter(|variable| *variable != fixed).collect();
        for variable in &others {
            self.choose(*variable, self.ranges[*variable].start);
        }
        let mut effects = Vec::new();
        loop {
            effects.push(self.decide(leaf));
            if !self.advance(&others) {
                return effects;
            }
        }
    }

    /// What a part can come out as.
    fn outcomes(&mut self, node: &Node) -> Outcomes {
        match &node.kind {
            Kind::Leaf(leaf) => self.outcomes[*leaf],
            Kind::Not(term) => !self.outcomes(term),
            Kind::All(terms) => {
                independent(terms).iter().fold(Outcomes::TRUE, |known, group| known.both(self.outcomes_together(group, true)))
            }
            Kind::Any(terms) => {
                independent(terms).iter().fold(Outcomes::FALSE, |known, group| known.either(self.outcomes_together(group, false)))
            }
        }
    }

    /// What terms that share variables can come out as, joined by "and" or by "or".
    fn outcomes_together(&mut self, terms: &[&Node], and: bool) -> Outcomes {
        if let [only] = terms {
            return self.outcomes(only);
        }
        let at_most = self.at_most_all(terms, and);
        let mut group = Group { terms, and, order: Vec::new(), decided: Vec::new(), size: 0, at_most, found: Outcomes::NONE };
        terms.iter().for_each(|term| self.line_up(term, &mut group));
        self.decisions_left = self.decisions_left.saturating_sub(group.size);
        let saved = self.outcomes.clone();
        self.explore(&mut group, 0);
        self.outcomes = saved;
        let exact = group.order.iter().all(|variable| self.variables[*variable].exact);
        // Not finding an outcome proves nothing if not everything was tried.
        if self.decisions_left == 0 || !exact { at_most } else { group.found }
    }

    /// Fixes the order in which the variables of a group get their values: that of the text, so that terms are decided early.
    fn line_up(&self, node: &Node, group: &mut Group<'_>) {
        match &node.kind {
            Kind::Not(term) => self.line_up(term, group),
            Kind::All(terms) | Kind::Any(terms) => terms.iter().for_each(|term| self.line_up(term, group)),
            Kind::Leaf(leaf) => {
                group.size += 1;
                for variable in &self.leaves[*leaf].variables {
                    if !group.order.contains(variable) {
                        group.order.push(*variable);
                        group.decided.push(Vec::new());
                    }
                }
                let last =
                    self.leaves[*leaf].variables.iter().filter_map(|variable| group.order.iter().position(|one| one == variable)).max();
                if let Some(last) = last {
                    group.decided[last].push(*leaf);
                }
            }
        }
    }

    fn explore(&mut self, group: &mut Group<'_>, depth: usize) {
        let possible = self.at_most_all(group.terms, group.and);
        self.decisions_left = self.decisions_left.saturating_sub(group.size / 8 + 1);
        if group.found.contains(possible) || self.decisions_left == 0 {
            return;
        }
        if depth == group.order.len() {
            group.found = group.found.or(possible);
            return;
        }
        let variable = group.order[depth];
        let before: Vec<Outcomes> = group.decided[depth].iter().map(|leaf| self.outcomes[*leaf]).collect();
        for candidate in self.ranges[variable].clone() {
            self.choose(variable, candidate);
            for at in 0..before.len() {
                let leaf = group.decided[depth][at];
                self.outcomes[leaf] = self.decide(leaf);
            }
            self.explore(group, depth + 1);
            if group.found.contains(group.at_most) {
                break;
            }
        }
        for (leaf, outcomes) in group.decided[depth].iter().zip(before) {
            self.outcomes[*leaf] = outcomes;
        }
    }

    fn at_most_all(&self, terms: &[&Node], and: bool) -> Outcomes {
        let each = terms.iter().map(|term| self.at_most(term));
        if and { each.fold(Outcomes::TRUE, Outcomes::both) } else { each.fold(Outcomes::FALSE, Outcomes::either) }
    }

    /// A part comes out as nothing else under the choices that are made, and maybe not as all of it.
    fn at_most(&self, node: &Node) -> Outcomes {
        match &node.kind {
            Kind::Leaf(leaf) => self.outcomes[*leaf],
            Kind::Not(term) => !self.at_most(term),
            Kind::All(terms) => terms.iter().fold(Outcomes::TRUE, |known, term| known.both(self.at_most(term))),
            Kind::Any(terms) => terms.iter().fold(Outcomes::FALSE, |known, term| known.either(self.at_most(term))),
        }
    }
}

/// Terms that are searched together.
struct Group<'n> {
    terms: &'n [&'n Node],
    and: bool,
    /// The variables, in the order in which they are chosen.
    order: Vec<usize>,
    /// The leaves that are decided once the variable at the same place in the order is chosen.
    decided: Vec<Vec<usize>>,
    /// How many leaves there are.
    size: usize,
    at_most: Outcomes,
    found: Outcomes,
}

/// The terms in groups that have no variable in common.
fn independent(terms: &[Node]) -> Vec<Vec<&Node>> {
    let mut groups: Vec<(Vec<usize>, Vec<&Node>)> = Vec::new();
    for term in terms {
        let shares = |group: &mut (Vec<usize>, Vec<&Node>)| group.0.iter().any(|variable| term.variables.binary_search(variable).is_ok());
        let mut joined = (term.variables.clone(), Vec::new());
        for (variables, nodes) in groups.extract_if(.., shares) {
            joined.0.extend(variables);
            joined.1.extend(nodes);
        }
        joined.1.push(term);
        groups.push(joined);
    }
    groups.into_iter().map(|(_, nodes)| nodes).collect()
}

#[cfg(test)]
mod tests;
