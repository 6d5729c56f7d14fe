//! What is proved about the whole API with the server in this process, where what it stores can be looked at.

mod refusals;
