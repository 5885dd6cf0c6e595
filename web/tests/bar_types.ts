// How a page in TypeScript uses the element. Only checked, never run.

import { Onetap } from '../src/onetap.js';
import { OnetapBar, type ReactionImage, type User } from '../src/onetap-bar.js';

OnetapBar.client = new Onetap({ token: () => 'a token' });
OnetapBar.resolveUsers = async (ids: string[]): Promise<User[]> => ids.map((id) => ({ id, name: `User ${id}`, url: `/users/${id}` }));
Object.assign(OnetapBar.texts, { you: 'Du' } satisfies Partial<typeof OnetapBar.texts>);
OnetapBar.resolveReaction = async (reaction: string) => (reaction === 'parrot' ? { url: 'https://images.example/parrot.png' } : undefined);
const image: ReactionImage = { url: 'data:image/png;base64,', alt: 'Parrot' };
OnetapBar.resolveReaction = () => image;
OnetapBar.texts.who = (names, others, number) => `${names.join()} ${number(others)}`;
OnetapBar.pictures.helpful = '💡';
const bar: OnetapBar = document.createElement('onetap-bar');
bar.client = new Onetap({ userId: 7 });
bar.tap('like');
bar.showReactors();
bar.addEventListener('onetap-change', ({ detail }) => detail.reactions.map((r) => r.count));
bar.addEventListener('onetap-error', ({ detail }) => detail.code);

// @ts-expect-error: a user has a name
OnetapBar.resolveUsers = (ids: string[]) => ids.map((id) => ({ id }));
