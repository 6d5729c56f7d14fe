//! What is measured, and the data that it is measured on: the same for every system.

/// Products beside the hot one.
pub const PRODUCTS: usize = 500;

/// Notes that each reader owns from the beginning; nobody adds to them, so that the count costs every system the same in every round.
pub const NOTES_OF_EACH: usize = 300;

/// The stock of every product, more than any run can sell.
pub const STOCK: u64 = 1_000_000_000;

/// The price of every product. PocketBase has no decimals and keeps it as a float.
pub const PRICE: &str = "4.50";

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A note of about 350 bytes, owned by the caller.
    Create,
    /// One product by its id.
    Read,
    /// The 20 newest products that are active.
    List,
    /// The caller's 20 newest notes and how many there are; only the policy says whose.
    ListOwned,
    /// An order of one piece of one of [`PRODUCTS`]: stock checked and taken, total checked, order written.
    Order,
    /// The same with every client after the same product.
    OrderHot,
}

impl Operation {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 6] = [Self::Create, Self::Read, Self::List, Self::ListOwned, Self::Order, Self::OrderHot];

    /// The words in the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::List => "list 20",
            Self::ListOwned => "list 20 by owner, with total",
            Self::Order => "order",
            Self::OrderHot => "order, one hot product",
        }
    }

    /// True if the answer means that something was written.
    pub fn writes(self) -> bool {
        match self {
            Self::Create | Self::Order | Self::OrderHot => true,
            Self::Read | Self::List | Self::ListOwned => false,
        }
    }
}

/// The title of a note.
pub fn title(number: u64) -> String {
    format!("Note {number:08} on the weather")
}

/// The text of a note: 300 bytes.
pub fn body(number: u64) -> String {
    format!("{number:010} It rained in the morning; ").chars().cycle().take(300).collect()
}

/// Which of `count` things a client takes at a turn: spread evenly, and the same in every run.
pub fn pick(client: usize, turn: u64, count: usize) -> usize {
    let mixed = (turn.wrapping_mul(64).wrapping_add(client as u64)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 33) as usize % count
}
