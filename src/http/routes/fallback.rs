//! What is asked of paths and methods that there are not.

use super::super::problem::{Code, Problem};

/// No such path.
pub(in crate::http) async fn not_found() -> Problem {
    Problem::not_found()
}

/// The path is there, but does not take the method. The router adds which it does take.
pub(in crate::http) async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "the header `Allow` names the methods of this path")
}
