// A reporter of node's test runner: one line of JSON a test, for `cargo xtask test`.
//
// A test that is skipped, or still to do, passes for node. Here it is left out.

/** The beginning of a diagnostic that names a test's file. It stands right behind the test's result. */
export const FILE = 'in the file ';

export default async function* report(source) {
  let last;
  for await (const { type, data } of source) {
    if (type === 'test:diagnostic' && last && data.message.startsWith(FILE)) {
      last.file = data.message.slice(FILE.length);
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (last) yield `${JSON.stringify(last)}\n`;
    const leftOut = [data.skip, data.todo].some(mark => mark !== undefined && mark !== false);
    last = { file: data.file, name: data.name, passed: type === 'test:pass', leftOut };
  }
  if (last) yield `${JSON.stringify(last)}\n`;
}
