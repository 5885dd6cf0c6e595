//! The path below which the service answers, where a site has other things at its root.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The path before each route: nothing, or segments without a slash at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BasePath(Arc<str>);

/// Text that is not a [`BasePath`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidBasePath(String);

impl FromStr for BasePath {
    type Err = InvalidBasePath;

    fn from_str(text: &str) -> Result<Self, InvalidBasePath> {
        let bare = text.trim_matches('/');
        let spelled = format!("/{bare}");
        // Nothing that a browser or a proxy would spell otherwise, and no parameter of a route.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let good = |segment: &str| {
            !segment.is_empty() && segment.bytes().all(plain) && segment.bytes().any(|b| b != b'.')
        };
        if !bare.is_empty() && !bare.split('/').all(good) {
            return Err(InvalidBasePath(format!(
                "`{text}` is not a path of letters, digits, `-`, `.` and `_`: write one such as \
                 /reactions"
            )));
        }
        if spelled != text {
            return Err(InvalidBasePath(format!("the path is `{spelled}`: write it so")));
        }
        Ok(Self(spelled.trim_end_matches('/').into()))
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "/" } else { &self.0 })
    }
}

impl BasePath {
    /// Whether the service has the root to itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// A path of the service as callers ask for it.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_has_one_spelling() {
        for (good, path) in [
            ("/", "/x"),
            ("/r", "/r/x"),
            ("/reactions/v2", "/reactions/v2/x"),
            ("/a.b-c_d", "/a.b-c_d/x"),
        ] {
            let base = good.parse::<BasePath>().expect(good);
            assert_eq!((base.to_string().as_str(), base.join("/x").as_str()), (good, path));
        }
        for (bad, word) in [
            ("", "the path is `/`"),
            ("//", "the path is `/`"),
            ("r", "the path is `/r`"),
            ("/r/", "the path is `/r`"),
            ("/a//b", "is not a path"),
            ("/{x}", "is not a path"),
            ("/a b", "is not a path"),
            ("/..", "is not a path"),
            ("/a/./b", "is not a path"),
            ("/%2f", "is not a path"),
            ("/é", "is not a path"),
            ("https://forum.example/r", "is not a path"),
        ] {
            let why = bad.parse::<BasePath>().expect_err(bad).to_string();
            assert!(why.contains(word), "{bad}: {why}");
        }
    }
}
