//! The rows of one post after the other, each member once.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};

use extsort::Sortable as _;

use super::row::{Key, Line, Names, Row};
use super::sorted::Sorted;
use crate::domain::{MOST_EDITS, PostId, Rules};

/// What an input says of a post.
pub(crate) struct PostRows {
    pub(crate) post: PostId,
    pub(crate) rows: Rows,
    pub(crate) rules: Option<Rules>,
}

/// The rows of a post, by user and reaction.
pub(crate) enum Rows {
    /// As many as one step takes.
    Few(Vec<Row>),
    /// More.
    Many(Spool),
}

/// The rows of a post in a temporary file, so that a step can begin at the first row again.
pub(crate) struct Spool {
    file: BufReader<File>,
    count: u64,
    read: u64,
    names: Names,
}

impl Spool {
    /// How many rows there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How many rows were read.
    pub(crate) fn done(&self) -> u64 {
        self.read
    }

    /// The next rows, at most as many as one step takes.
    pub(crate) fn next(&mut self) -> io::Result<Vec<Row>> {
        let most = (self.count - self.read).min(MOST_EDITS as u64);
        let mut rows = Vec::with_capacity(MOST_EDITS);
        for _ in 0..most {
            match Key::decode(&mut self.file)?.line(&mut self.names) {
                Some(Line::Member(row)) => rows.push(row),
                _ => return Err(odd()),
            }
        }
        self.read += most;
        Ok(rows)
    }

    /// Begins at the first row again.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        self.read = 0;
        self.file.seek(SeekFrom::Start(0)).map(drop)
    }
}

fn odd() -> io::Error {
    io::Error::other("a temporary file is damaged")
}

/// Puts the rows of each post together. Of several rows of one member, the last counts.
pub(crate) struct Posts {
    keys: Sorted,
    next: Option<Key>,
    names: Names,
}

impl Posts {
    pub(crate) fn of(keys: Sorted) -> Self {
        Self { keys, next: None, names: Names::default() }
    }

    /// The key that counts for the next member.
    pub(super) fn member(&mut self) -> io::Result<Option<Key>> {
        let first = self.next.take().map(Ok).or_else(|| self.keys.next());
        let Some(mut last) = first.transpose()? else { return Ok(None) };
        for key in self.keys.by_ref() {
            let key = key?;
            if !key.same_member(&last) {
                self.next = Some(key);
                break;
            }
            last = key;
        }
        Ok(Some(last))
    }

    /// The line of a key.
    pub(super) fn line(&mut self, key: &Key) -> io::Result<Line> {
        key.line(&mut self.names).ok_or_else(odd)
    }

    fn post(&mut self) -> io::Result<Option<PostRows>> {
        let Some(mut key) = self.member()? else { return Ok(None) };
        let (mut few, mut many, mut rules) = (Vec::new(), None::<(BufWriter<File>, u64)>, None);
        let mut kept: Vec<Key> = Vec::new();
        let post = loop {
            let post = match self.line(&key)? {
                Line::Rules(post, found) => {
                    rules = Some(found);
                    post
                }
                Line::Member(row) => {
                    let post = row.post;
                    if let Some((file, count)) = &mut many {
                        key.encode(file)?;
                        *count += 1;
                    } else if few.len() < MOST_EDITS {
                        few.push(row);
                        kept.push(key.clone());
                    } else {
                        let mut file = BufWriter::new(tempfile::tempfile()?);
                        kept.iter().chain([&key]).try_for_each(|key| key.encode(&mut file))?;
                        many = Some((file, kept.len() as u64 + 1));
                        (few, kept) = (Vec::new(), Vec::new());
                    }
                    post
                }
            };
            let more = self.next.as_ref().is_some_and(|next| next.same_post(&key));
            if !more {
                break post;
            }
            key = self.member()?.ok_or_else(odd)?;
        };
        let rows = match many {
            None => Rows::Few(few),
            Some((mut file, count)) => {
                file.flush()?;
                let file = file.into_inner().map_err(|error| error.into_error())?;
                let (file, names) = (BufReader::new(file), Names::default());
                let mut spool = Spool { file, count, read: 0, names };
                spool.rewind()?;
                Rows::Many(spool)
            }
        };
        Ok(Some(PostRows { post, rows, rules }))
    }
}

impl Iterator for Posts {
    type Item = io::Result<PostRows>;

    fn next(&mut self) -> Option<Self::Item> {
        self.post().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Micros;
    use crate::moving::row::Grouping;
    use crate::moving::sorted::Sorter;

    fn post(n: u64) -> PostId {
        PostId::from_integer(n, 0).expect("a post")
    }

    fn row(n: u64, user: u64, at: u64, active: bool) -> Row {
        let user = user.try_into().expect("a user");
        let reaction = "like".parse().expect("a reaction");
        Row { post: post(n), user, reaction, at: Micros(at), active }
    }

    fn posts(lines: impl IntoIterator<Item = Line>) -> Vec<PostRows> {
        let mut sorter = Sorter::new();
        for (number, line) in lines.into_iter().enumerate() {
            sorter.push(Key::new(&line, number as u64, Grouping::Posts)).expect("room");
        }
        Posts::of(sorter.done().expect("sorted")).map(|post| post.expect("a post")).collect()
    }

    #[test]
    fn the_newest_row_of_a_member_counts_and_of_equal_times_the_later_line() {
        let rows = [
            row(1, 1, 20, true),
            row(1, 1, 10, false),
            row(2, 1, 10, true),
            row(1, 2, 5, true),
            row(2, 1, 10, false),
        ];
        let found = posts(rows.map(Line::Member));
        let of = |rows: &Rows| match rows {
            Rows::Few(rows) => rows.clone(),
            Rows::Many(_) => panic!("they are few"),
        };
        assert_eq!(found.len(), 2);
        assert_eq!(of(&found[0].rows), [row(1, 1, 20, true), row(1, 2, 5, true)]);
        assert_eq!(of(&found[1].rows), [row(2, 1, 10, false)]);
    }

    #[test]
    fn more_rows_than_a_step_takes_are_read_in_steps_and_again() {
        let locked = Rules { locked: true, ..Rules::default() };
        let mut lines: Vec<_> =
            (1..=2500).map(|user| Line::Member(row(1, user, user, true))).collect();
        lines.insert(0, Line::Rules(post(1), locked.clone()));
        lines.push(Line::Member(row(2, 1, 1, true)));
        let mut found = posts(lines);
        assert_eq!((found.len(), found[0].rules.as_ref()), (2, Some(&locked)));
        let Rows::Many(spool) = &mut found[0].rows else { panic!("they are many") };
        for _ in 0..2 {
            let steps: Vec<_> = (0..4).map(|_| spool.next().expect("rows")).collect();
            assert_eq!(steps.iter().map(Vec::len).collect::<Vec<_>>(), [1000, 1000, 500, 0]);
            let users: std::collections::HashSet<_> =
                steps.iter().flatten().map(|row| row.user).collect();
            assert_eq!((users.len(), spool.count()), (2500, 2500));
            spool.rewind().expect("a file");
        }
    }
}
