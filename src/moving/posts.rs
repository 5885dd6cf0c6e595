//! The rows of one post after the other, each member once.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};

use extsort::Sortable as _;

use super::row::{Key, Line, Names, Row};
use super::sorted::Sorted;
use crate::domain::{PostId, Rules};

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

/// The rows of a post, so that a step can begin at the first row again.
pub(crate) struct Spool {
    kept: Kept,
    count: u64,
    read: u64,
    /// How many rows a step takes.
    step: usize,
}

enum Kept {
    Memory(Vec<Row>),
    /// More than [`IN_MEMORY`], in a temporary file.
    File(BufReader<File>, Names),
}

/// The most rows of a post that are kept in memory.
const IN_MEMORY: usize = 1000;

impl Spool {
    /// How many rows there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How many rows were read.
    pub(crate) fn done(&self) -> u64 {
        self.read
    }

    /// The next rows, at most as many as a step takes.
    pub(crate) fn next(&mut self) -> io::Result<Vec<Row>> {
        let most = (self.count - self.read).min(self.step as u64);
        let rows = match &mut self.kept {
            Kept::Memory(rows) => {
                rows.iter().skip(self.read as usize).take(most as usize).cloned().collect()
            }
            Kept::File(file, names) => {
                let row = |_| match Key::decode(file)?.line(names) {
                    Some(Line::Member(row)) => Ok(row),
                    _ => Err(odd()),
                };
                (0..most).map(row).collect::<io::Result<Vec<_>>>()?
            }
        };
        self.read += most;
        Ok(rows)
    }

    /// Begins at the first row again.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        self.read = 0;
        match &mut self.kept {
            Kept::Memory(_) => Ok(()),
            Kept::File(file, _) => file.seek(SeekFrom::Start(0)).map(drop),
        }
    }
}

fn odd() -> io::Error {
    io::Error::other("a temporary file is damaged")
}

/// Puts the rows of each post together. Of several rows of one member, the last counts.
pub(crate) struct Posts {
    keys: Sorted,
    /// How many rows a step takes.
    step: usize,
    next: Option<Key>,
    names: Names,
}

impl Posts {
    pub(crate) fn of(keys: Sorted, step: usize) -> Self {
        Self { keys, step, next: None, names: Names::default() }
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
                    } else if few.len() < IN_MEMORY {
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
            None if few.len() <= self.step => Rows::Few(few),
            None => {
                let (count, kept) = (few.len() as u64, Kept::Memory(few));
                Rows::Many(Spool { kept, count, read: 0, step: self.step })
            }
            Some((mut file, count)) => {
                file.flush()?;
                let file = file.into_inner().map_err(|error| error.into_error())?;
                let kept = Kept::File(BufReader::new(file), Names::default());
                let mut spool = Spool { kept, count, read: 0, step: self.step };
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

    fn posts(lines: impl IntoIterator<Item = Line>, step: usize) -> Vec<PostRows> {
        let mut sorter = Sorter::new();
        for (number, line) in lines.into_iter().enumerate() {
            sorter.push(Key::new(&line, number as u64, Grouping::Posts)).expect("room");
        }
        let sorted = sorter.done().expect("sorted");
        Posts::of(sorted, step).map(|post| post.expect("a post")).collect()
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
        let found = posts(rows.map(Line::Member), 1000);
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
        // In a temporary file, in memory, and as many as one step takes.
        for (count, step) in [(2500, 1000), (2500, 50), (1000, 400), (51, 50), (50, 50)] {
            let mut lines: Vec<_> =
                (1..=count).map(|user| Line::Member(row(1, user, user, true))).collect();
            lines.insert(0, Line::Rules(post(1), locked.clone()));
            lines.push(Line::Member(row(2, 1, 1, true)));
            let mut found = posts(lines, step);
            assert_eq!((found.len(), found[0].rules.as_ref()), (2, Some(&locked)));
            let spool = match &mut found[0].rows {
                Rows::Few(rows) => {
                    assert_eq!((rows.len() as u64, step), (count, 50));
                    continue;
                }
                Rows::Many(spool) => spool,
            };
            for _ in 0..2 {
                let all = 0..=count.div_ceil(step as u64);
                let steps: Vec<_> = all.map(|_| spool.next().expect("rows")).collect();
                let (last, before) = steps.split_last().expect("an empty one");
                let (shorter, full) = before.split_last().expect("at least one");
                assert!(full.iter().all(|rows| rows.len() == step));
                assert!(last.is_empty() && (1..=step).contains(&shorter.len()));
                let users: std::collections::HashSet<_> =
                    steps.iter().flatten().map(|row| row.user).collect();
                assert_eq!((users.len() as u64, spool.count()), (count, count));
                spool.rewind().expect("a file");
            }
        }
    }
}
