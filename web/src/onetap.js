// The client: sends what the user meant, shows it at once, and shows other people's taps live.
// What each call promises: onetap.d.ts. Why it is done this way: web/README.md.

export { Onetap } from './client/client.js';
export { integerFromPostId, postIdFromInteger, reactionKey } from './client/ids.js';
