//! What a tap does.

/// What a tap does to the flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Flips it. Not idempotent: sent twice it cancels itself.
    Toggle,
    /// Turns it on.
    Set,
    /// Turns it off.
    Unset,
}

impl Verb {
    /// The new value of a flag that is `was` now.
    pub fn turns(self, was: bool) -> bool {
        match self {
            Self::Toggle => !was,
            Self::Set => true,
            Self::Unset => false,
        }
    }
}
