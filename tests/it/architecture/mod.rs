//! The order of the house, read from the tree itself.

mod house;
