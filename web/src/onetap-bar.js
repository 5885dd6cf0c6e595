// Defines <onetap-bar>. What it promises: onetap-bar.d.ts.

import { OnetapBar } from './bar/element.js';

const registry = globalThis.customElements;
if (registry && !registry.get('onetap-bar')) registry.define('onetap-bar', OnetapBar);
/** Loaded twice, by two addresses, it is one element to both. @type {typeof OnetapBar} */
const Defined = /** @type {any} */ (registry?.get('onetap-bar') ?? OnetapBar);
export { Defined as OnetapBar };
