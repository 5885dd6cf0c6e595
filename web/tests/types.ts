// How a page in TypeScript uses the client. Only checked, never run.

import {
  Onetap,
  integerFromPostId,
  postIdFromInteger,
  reactionKey,
  type Options,
  type PostState,
} from '../src/onetap.js';

const open: Options = { userId: 42n, baseUrl: '', recent: 3, live: false };
const client = new Onetap(open);
new Onetap({ token: async (postIds) => postIds.join() });
new Onetap();

const stop: () => void = client.watch(postIdFromInteger(42), {
  reactions: [{ reaction: 'like', count: 3, mine: true }],
});
stop();
client.addEventListener('onetap-change', ({ detail }) => {
  const state: PostState = detail;
  state.reactions.filter((r) => r.pending && reactionKey(r.reaction) === 'like');
});
client.addEventListener('onetap-error', ({ detail }) =>
  console.warn(detail.code, detail.status, detail.dropped),
);
client.addEventListener('other', (event) => event.type);
const total: number | undefined = client.state('…')?.total;
client.tap('…', '👍');
client.wish('…', '👍', total === undefined);
const { users, next_cursor } = await client.reactors('…', { reaction: 'like', limit: 25 });
const name: string = users[0].user_id + (next_cursor ?? '');
const integer: bigint | null = integerFromPostId(name);
const palettes = await client.palettes();
const offered: string[] | '*' | undefined = palettes?.default.reactions;
const alias: string = client.counted('…', '+1');
const code: string | undefined = client.refusal('…', offered?.[0] ?? alias);
console.assert(code !== client.state('…')?.add, client.palette('…')?.aliases[alias]);
await client.settled();
client.close();

// @ts-expect-error: an option that there is not
new Onetap({ user: 1 });
// @ts-expect-error: a wish is on or off
client.wish('…', 'like');
// @ts-expect-error: null where it is no such post id
integer.toString();
