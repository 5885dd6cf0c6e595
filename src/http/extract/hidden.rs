//! `hide`: users that the caller does not want to see, such as muted or blocked people.

use std::collections::HashSet;

use super::super::dto::UserIdJson;
use super::super::problem::{Code, Problem};
use super::Query;
use crate::domain::{Position, Reactor, ReactorsPage, Summary, UserId};

/// The most hidden users of one call.
const MAX_HIDDEN: usize = 500;

/// How many reactors a read fetches beyond those asked for. Where more are hidden, a page is
/// shorter than its limit, although the list goes on.
const REACH: usize = 20;

/// Users that names and lists leave out. Counts include them: otherwise a viewer could learn from a
/// count which users somebody else hides.
#[derive(Debug, Default)]
pub(in crate::http) struct Hidden(HashSet<UserId>);

impl Hidden {
    /// Reads every `hide` of the query.
    pub(in crate::http) fn of_query(query: &Query) -> Result<Self, Problem> {
        Self::read(query.hidden().map(|text| query.named(text)), Code::InvalidQuery)
    }

    /// Reads the list in a body.
    pub(in crate::http) fn of_body(ids: Vec<UserIdJson>, query: &Query) -> Result<Self, Problem> {
        Self::read(ids.into_iter().map(|id| query.named_in_json(id)), Code::InvalidBody)
    }

    fn read(
        users: impl Iterator<Item = Result<UserId, Problem>>,
        code: Code,
    ) -> Result<Self, Problem> {
        let users = users.collect::<Result<HashSet<_>, _>>()?;
        if users.len() > MAX_HIDDEN {
            let detail = format!("`hide` names {} users; name at most {MAX_HIDDEN}", users.len());
            return Err(Problem::new(code, detail));
        }
        Ok(Self(users))
    }

    /// How many reactors to fetch, so that `wanted` visible ones are likely among them.
    pub(in crate::http) fn reach(&self, wanted: usize) -> usize {
        if wanted == 0 || self.0.is_empty() { wanted } else { wanted + REACH }
    }

    /// Leaves the hidden users out of a summary that was read with [`Self::reach`].
    pub(in crate::http) fn strip(&self, summary: &mut Summary, recent: usize) {
        for reaction in &mut summary.reactions {
            self.keep(&mut reaction.recent);
            reaction.recent.truncate(recent);
        }
    }

    /// The visible part of a page that was read with [`Self::reach`], and the place where the next
    /// page begins.
    pub(in crate::http) fn page(
        &self,
        page: ReactorsPage,
        limit: usize,
    ) -> (Vec<Reactor>, Option<Position>) {
        let looked_at = page.next().cloned();
        let mut visible = page.reactors;
        self.keep(&mut visible);
        let next = match visible.len() > limit {
            true => Some(visible[limit - 1].clone()),
            false => looked_at,
        };
        visible.truncate(limit);
        (visible, next)
    }

    fn keep(&self, reactors: &mut Vec<Reactor>) {
        if !self.0.is_empty() {
            reactors.retain(|reactor| !self.0.contains(&reactor.user));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Micros;

    fn user(id: u64) -> UserId {
        id.try_into().expect("a user id")
    }

    fn page(users: impl IntoIterator<Item = u64>, more: bool) -> ReactorsPage {
        let reactor = |id| Reactor {
            reacted_at: Micros(1000 - id),
            user: user(id),
            reaction: "like".parse().expect("a reaction"),
        };
        ReactorsPage { reactors: users.into_iter().map(reactor).collect(), more }
    }

    fn shown(hidden: &[u64], read: ReactorsPage, limit: usize) -> (Vec<u64>, Option<u64>) {
        let hidden = Hidden(hidden.iter().copied().map(user).collect());
        let (visible, next) = hidden.page(read, limit);
        let ids = visible.iter().filter_map(|reactor| reactor.user.integer()).collect();
        (ids, next.and_then(|place| place.user.integer()))
    }

    #[test]
    fn a_page_goes_on_behind_the_last_that_it_shows_or_looked_at() {
        assert_eq!(shown(&[2], page(1..=5, false), 3), (vec![1, 3, 4], Some(4)));
        assert_eq!(shown(&[2], page(1..=4, false), 3), (vec![1, 3, 4], None));
        assert_eq!(shown(&[2], page(1..=4, true), 3), (vec![1, 3, 4], Some(4)));
        // All fetched users are hidden: the page is empty, and the list goes on.
        assert_eq!(shown(&[1, 2, 3], page(1..=3, true), 3), (vec![], Some(3)));
        assert_eq!(shown(&[], page(1..=3, true), 3), (vec![1, 2, 3], Some(3)));
    }
}
