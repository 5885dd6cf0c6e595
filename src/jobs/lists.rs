//! The users and posts that a job lists, in documents of their own: a document has a bound.

use super::book::{JobBook, damaged, kept};
use super::job::{Job, JobId, Lists};
use crate::store::{Deadline, DocumentWrite, Maintenance as _, StoreError};

/// How many ids a document has. A text id has at most 64 bytes, and a separator.
const IN_A_DOCUMENT: usize = 2_000;

impl JobBook {
    /// Writes the lists of a job that nobody knows yet.
    pub(super) async fn write_lists(
        &self,
        id: &JobId,
        lists: &Lists,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let users: Vec<String> = lists.users.iter().map(ToString::to_string).collect();
        let posts: Vec<String> = lists.posts.iter().map(ToString::to_string).collect();
        for (what, texts) in [("users", users), ("posts", posts)] {
            for (n, part) in texts.chunks(IN_A_DOCUMENT).enumerate() {
                let body = Some(part.join(" ").into_bytes());
                let name = format!("job/{id}/{what}/{n}");
                let write = DocumentWrite { name, expected: 0, body, keep: kept() };
                self.store.write_document(write, deadline).await?;
            }
        }
        Ok(())
    }

    /// Reads the lists of a job.
    pub(super) async fn lists(&self, job: &Job, deadline: Deadline) -> Result<Lists, StoreError> {
        let mut lists = Lists::default();
        for text in self.listed(&job.id, "users", job.users, deadline).await? {
            lists.users.push(text.parse().map_err(|error| damaged(&job.id, error))?);
        }
        for text in self.listed(&job.id, "posts", job.posts, deadline).await? {
            lists.posts.push(text.parse().map_err(|error| damaged(&job.id, error))?);
        }
        Ok(lists)
    }

    async fn listed(
        &self,
        id: &JobId,
        what: &str,
        count: usize,
        deadline: Deadline,
    ) -> Result<Vec<String>, StoreError> {
        let mut texts = Vec::new();
        for n in 0..count.div_ceil(IN_A_DOCUMENT) {
            let name = format!("job/{id}/{what}/{n}");
            let found = self.store.document(&name, deadline).await?;
            let found = found.ok_or_else(|| damaged(id, format!("{name} is gone")))?;
            let text = String::from_utf8(found.body).map_err(|error| damaged(id, error))?;
            texts.extend(text.split(' ').map(str::to_owned));
        }
        Ok(texts)
    }
}
