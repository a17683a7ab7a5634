/** Given to `--import`, makes the program believe that it was started by a Node.js that is too old for it. */
export const TOO_OLD = `data:text/javascript,${encodeURIComponent(
  'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.0.0" } })',
)}`;
