// The element's texts, in English.

const others = (n, number, one, many, unknown) =>
  n === 1 ? one : n > 0 ? `${number(n)} ${many}` : unknown;

/** @param {(code: string) => string | undefined} problem the page's words for a problem */
export const english = (problem) => ({
  reactions: 'Reactions',
  add: 'Add a reaction',
  button: (label, count) => (count ? `${label}, ${count}` : label),
  added: (label, count) => `${label} added, ${count} in all`,
  removed: (label, count) => `${label} removed, ${count} left`,
  waiting: (label) => `${label} not saved yet`,
  failed: (label, { code, message }) =>
    `${label} could not be saved and was undone: ${problem(code) ?? message}`,
  problems: {
    unauthenticated: 'sign in first',
    wish_expired: 'no connection for too long',
    reactions_locked: 'no reactions can be added here',
    reaction_not_allowed: 'this reaction cannot be added here',
    too_many_reactions: 'there are too many reactions here',
  },
  locked: 'Closed: reactions can only be removed',
  existing: 'Only reactions that are here already can be added',
  you: 'You',
  user: (id) => `User ${id}`,
  // `more` is NaN if nobody knows how many.
  /** @type {(names: string[], more: number, number?: (n: number) => string) => string} */
  who(names, more, number = String) {
    if (!names.length)
      return others(more, number, '1 person', 'people', more ? 'Several people' : '');
    if (more !== 0) names = [...names, others(more, number, '1 other', 'others', 'others')];
    return names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}` : names[0];
  },
  all: 'All',
  more: 'Show more',
  close: 'Close',
  loading: 'Loading …',
  nobody: 'Nobody yet',
  unavailable: 'The list could not be loaded',
  retry: 'Try again',
  search: 'Search',
  nothing: 'Nothing found',
  missing: 'This could not be loaded; try again',
});
