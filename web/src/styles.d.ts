/** A style sheet is imported as its text, minified. */
declare module '*.css' {
  const text: string;
  export default text;
}
