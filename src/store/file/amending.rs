//! The steps of amendments, and of writes to documents.

use std::collections::HashMap;

use redb::ReadableTable as _;

use super::file_error::{FileError, FileResult};
use super::keys::{self, Expiring};
use super::seen::{Seen, SeenByAll, floor};
use super::step::Tables;
use super::values::Head;
use super::{StoreError, documents, steps};
use crate::domain::{
    AmendDecision, Amended, Amendment, ImportMark, MarkWrite, Micros, Once, PostId, PostWrite,
    decide_amendment,
};
use crate::store::maintenance::check_edits;
use crate::store::{DocumentWrite, MARKS_KEPT, STEPS_KEPT};

/// The most that one commit drops of what has expired, besides twice what it may have added.
const EXPIRED_AT_ONCE: usize = 100;

impl Tables<'_> {
    /// Applies amendments one after the other. One that meets damaged data fails alone.
    pub(super) fn amend_all(
        &mut self,
        amendments: &[Amendment],
        now: Micros,
    ) -> FileResult<Vec<Result<Amended, StoreError>>> {
        let mut answers = Vec::with_capacity(amendments.len());
        for amendment in amendments {
            let answer = check_edits(amendment).map(|()| self.amend(amendment, now));
            answers.push(match answer {
                Ok(Ok(amended)) => Ok(amended),
                Ok(Err(FileError::Damaged(what))) => Err(StoreError::Damaged(what)),
                Ok(Err(engine)) => return Err(engine),
                Err(refused) => Err(refused),
            });
        }
        Ok(answers)
    }

    /// Applies an amendment. It reads before it writes, so that damaged data stays as it is.
    fn amend(&mut self, amendment: &Amendment, now: Micros) -> FileResult<Amended> {
        let post = amendment.post;
        let answered = self.answered(amendment)?;
        let expired = match answered {
            Some((expires_at, answered)) if expires_at > now => return Ok(answered),
            expired => expired.map(|(expired_at, _)| expired_at),
        };
        let seen = Seen::look_for_many(&self.posts, &self.meta, post)?;
        let mark = if seen.is_absent { None } else { self.mark(post)? };
        let valid = mark.filter(|(expires_at, _)| *expires_at > now).map(|(_, mark)| mark);
        let floor = match seen.has_state {
            true => floor(&self.meta, post.partition())?,
            false => seen.head.revision,
        };
        let look = SeenByAll { seen: &seen, floor };
        let decision = decide_amendment(&look, amendment, valid.as_ref(), now)?;
        if amendment.dry_run {
            return Ok(decision.amended);
        }
        let AmendDecision { amended, changes, moves, counts, rules, post: write, mark: next } =
            decision;
        let mut sets = HashMap::new();
        let named = moves.iter().map(|it| &it.reaction).chain(counts.iter().map(|(name, _)| name));
        for name in named {
            if !sets.contains_key(name) {
                sets.insert(name.clone(), seen.set(name)?);
            }
        }
        let rules = rules.unwrap_or_else(|| seen.head.rules.clone());
        let head = Head { revision: amended.revision, rules, ..seen.head };
        for it in &moves {
            let Some(set) = sets.get(&it.reaction) else { continue };
            if let Some(since) = it.before {
                self.remove_member(set, it.user, since)?;
            }
            if let Some(at) = it.after {
                self.insert_member(set, it.user, at)?;
            }
        }
        changes.iter().try_for_each(|change| self.append(change, now))?;
        let counts = counts.iter().filter_map(|(name, count)| Some((sets.get(name)?, *count)));
        counts.into_iter().try_for_each(|(set, count)| self.write_count(set, count))?;
        self.write_post(post, &head, write)?;
        let before = mark.map(|(before, _)| before);
        match next {
            MarkWrite::Keep => {}
            MarkWrite::Write(next) => {
                let expires_at = now.later(MARKS_KEPT);
                let value = steps::encode_mark(&next, expires_at);
                self.keep(keys::mark(post), &value, before, expires_at)?;
            }
            MarkWrite::Delete => self.delete_mark(post, before)?,
        }
        if let Once::Step(token) = &amendment.once {
            let expires_at = now.later(STEPS_KEPT);
            let value = steps::encode_answer(&amended, expires_at);
            self.keep(keys::step(post, token), &value, expired, expires_at)?;
        }
        self.written += usize::from(write != PostWrite::Keep || amendment.once != Once::No);
        Ok(amended)
    }

    /// The mark of a post, and when it expires.
    pub(super) fn mark(&self, post: PostId) -> FileResult<Option<(Micros, ImportMark)>> {
        let mark = self.posts.get(&keys::mark(post)[..])?;
        mark.map(|mark| steps::decode_mark(mark.value())).transpose()
    }

    /// Deletes the mark of a post. `before`: when it would have expired; None if there is none.
    pub(super) fn delete_mark(&mut self, post: PostId, before: Option<Micros>) -> FileResult<()> {
        if let Some(before) = before {
            let key = keys::mark(post);
            self.posts.remove(&key[..])?;
            self.until.remove(&Expiring::Entry(key).until(before)[..])?;
        }
        Ok(())
    }

    /// What an earlier run of the step answered, and when that expires.
    fn answered(&self, amendment: &Amendment) -> FileResult<Option<(Micros, Amended)>> {
        let Once::Step(token) = &amendment.once else { return Ok(None) };
        let found = self.posts.get(&keys::step(amendment.post, token)[..])?;
        found.map(|found| steps::decode_answer(found.value())).transpose()
    }

    /// Writes an entry that expires. `before`: when the one before would have expired.
    fn keep(
        &mut self,
        key: keys::Key,
        value: &[u8],
        before: Option<Micros>,
        expires_at: Micros,
    ) -> FileResult<()> {
        self.posts.insert(&key[..], value)?;
        let expiring = Expiring::Entry(key);
        if let Some(before) = before {
            self.until.remove(&expiring.until(before)[..])?;
        }
        self.until.insert(&expiring.until(expires_at)[..], ())?;
        Ok(())
    }

    /// Writes a document, if it has the expected version.
    pub(super) fn write_document(
        &mut self,
        write: &DocumentWrite,
        now: Micros,
    ) -> FileResult<bool> {
        let DocumentWrite { name, expected, body, keep } = write;
        let found = self.documents.get(&name[..])?;
        let found = found.map(|found| documents::decode(found.value())).transpose()?;
        let current = found.as_ref().filter(|it| it.is_valid(now));
        if current.map_or(0, |it| it.version) != *expected {
            return Ok(false);
        }
        let expiring = Expiring::Document(name.clone());
        if let Some(before) = found.and_then(|it| it.expires_at) {
            self.until.remove(&expiring.until(before)[..])?;
        }
        match body {
            None => drop(self.documents.remove(&name[..])?),
            Some(body) => {
                let expires_at = keep.map(|keep| now.later(keep));
                let value = documents::encode(expected + 1, expires_at, body);
                self.documents.insert(&name[..], &value[..])?;
                if let Some(at) = expires_at {
                    self.until.insert(&expiring.until(at)[..], ())?;
                }
            }
        }
        self.written += 1;
        Ok(true)
    }

    /// Drops marks, answers to steps, and documents that have expired.
    pub(super) fn expire(&mut self, now: Micros) -> FileResult<()> {
        for _ in 0..2 * self.written + EXPIRED_AT_ONCE {
            let first = self.until.first()?.map(|(key, _)| key.value().to_vec());
            let Some(key) = first else { break };
            let (at, expiring) = Expiring::of(&key)?;
            if at > now {
                break;
            }
            self.until.remove(&key[..])?;
            match expiring {
                Expiring::Entry(entry) => drop(self.posts.remove(&entry[..])?),
                Expiring::Document(name) => drop(self.documents.remove(&name[..])?),
            }
        }
        Ok(())
    }
}
