// Makes nodes without parsing HTML, which a page's policy may forbid (Trusted Types).

/** By their text. The page's policy (CSP) cannot block a constructed style sheet. */
const sheets = new Map();

/** Adds a style sheet to a root, once. */
export function adopt(root, css) {
  if (!sheets.has(css)) {
    sheets.set(css, new CSSStyleSheet());
    sheets.get(css).replaceSync(css);
  }
  const sheet = sheets.get(css);
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
}

/** Makes an element. Its first class is its part; what is no property becomes an attribute. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else if (value !== undefined) element.setAttribute(name, value);
  }
  if (properties.className) element.part = element.classList[0];
  element.append(...children.filter(Boolean));
  return element;
}

/** The picture of the button that adds a reaction. */
export function face() {
  const [svg, path] = ['svg', 'path'].map((tag) =>
    document.createElementNS('http://www.w3.org/2000/svg', tag),
  );
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute(
    'd',
    'M20 11a9 9 0 1 1-8-8M8 14.5s1.2 2 3.5 2 3.5-2 3.5-2M8.5 9.5h.01M14 9.5h.01M19 2v6M16 5h6',
  );
  svg.append(path);
  return svg;
}

/** A sentence as nodes, with each text that `isolate` has marked in a <bdi>. */
export const nodes = (text) =>
  text
    .split(/(\u2068[^\u2069]*\u2069)/)
    .map((part) => (part[0] === '\u2068' ? h('bdi', {}, part.slice(1, -1)) : part));
