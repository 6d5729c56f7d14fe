//! Boolean formulas over pieces of SurrealQL: constants are folded away, conjunctions are flattened, and only what needs it is bracketed.

/// What a query has to ask of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    /// No row can pass: there is no need to ask.
    Never,
    /// Every row passes.
    Always,
    /// The rows for which this is true. It can be joined to others with `AND` as it is.
    When(String),
}

/// A formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Never,
    Always,
    Leaf(String),
    All(Vec<Node>),
    Any(Vec<Node>),
}

/// One test, which must bind tighter than `AND`.
pub(super) fn leaf(text: String) -> Node {
    Node::Leaf(text)
}

/// True where every one is.
pub(super) fn all(nodes: Vec<Node>) -> Node {
    if nodes.contains(&Node::Never) {
        return Node::Never;
    }
    let terms = nodes.into_iter().filter(|node| *node != Node::Always).collect();
    only(terms, Node::Always, Node::All)
}

/// True where at least one is.
pub(super) fn any(nodes: Vec<Node>) -> Node {
    if nodes.contains(&Node::Always) {
        return Node::Always;
    }
    let terms = nodes.into_iter().filter(|node| *node != Node::Never).collect();
    only(terms, Node::Never, Node::Any)
}

fn only(mut terms: Vec<Node>, none: Node, many: fn(Vec<Node>) -> Node) -> Node {
    match terms.len() {
        0 => none,
        1 => terms.swap_remove(0),
        _ => many(terms),
    }
}

impl Node {
    /// The text of the formula.
    pub(super) fn finish(self) -> Clause {
        match self {
            Node::Never => Clause::Never,
            Node::Always => Clause::Always,
            Node::Any(_) => Clause::When(self.within(AND)),
            Node::Leaf(text) => Clause::When(text),
            Node::All(_) => {
                let mut conjuncts = Vec::new();
                self.flatten(&mut conjuncts);
                Clause::When(row(&conjuncts, AND))
            }
        }
    }

    /// The terms of nested conjunctions as those of one.
    fn flatten(self, conjuncts: &mut Vec<Node>) {
        match self {
            Node::All(terms) => terms.into_iter().for_each(|term| term.flatten(conjuncts)),
            other => conjuncts.push(other),
        }
    }

    /// The text within a row of others: `AND` binds tighter than `OR`, so only an alternative among conjuncts needs brackets.
    fn within(&self, operator: &str) -> String {
        match self {
            Node::Never => "false".to_owned(),
            Node::Always => "true".to_owned(),
            Node::Leaf(text) => text.clone(),
            Node::All(terms) => row(terms, AND),
            Node::Any(terms) if operator == OR => row(terms, OR),
            Node::Any(terms) => format!("({})", row(terms, OR)),
        }
    }
}

const AND: &str = " AND ";
const OR: &str = " OR ";

/// How many terms may stand in a row. SurrealDB parses 20 brackets and 128 operators deep, and counts a row as deep as it is long: so
/// longer rows are bracketed in groups of this size.
const ROW_MAX: usize = 8;

fn row(terms: &[Node], operator: &str) -> String {
    let mut texts: Vec<String> = terms.iter().map(|term| term.within(operator)).collect();
    while texts.len() > ROW_MAX {
        texts = texts.chunks(ROW_MAX).map(|group| format!("({})", group.join(operator))).collect();
    }
    texts.join(operator)
}
