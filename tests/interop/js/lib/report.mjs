// A reporter of node's test runner: one line of JSON a test, for `cargo xtask test`.
//
// A test that is skipped, or still to do, passes for node. Here it is left out.

export default async function* report(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const leftOut = [data.skip, data.todo].some((mark) => mark !== undefined && mark !== false);
    const { file, name } = data;
    yield `${JSON.stringify({ file, name, passed: type === 'test:pass', leftOut })}\n`;
  }
}
