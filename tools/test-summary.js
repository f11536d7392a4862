// Prints, after everything else, which tests needed another attempt, which were skipped and why, and the line
// `N passed, N failed, N skipped`.
// A file that could not be loaded counts as one failure, so that the line is never green when the run is not.
// With STDB_TEST_REQUIRE_S3 set, a test of a real S3 server that was skipped is a failure, whoever skipped it, unless
// it was for want of something else.

/** A second, different server is welcome but never required; so are a store that ignores conditions and the engine that
 * judges what came back from S3. */
const OTHER_REASONS = ['no second S3 server', 'STDB_TEST_RCLONE', 'STDB_TEST_ORACLE'];
const isRequired = (name) =>
  process.env.STDB_TEST_REQUIRE_S3 && /\bs3\b/i.test(name) && !OTHER_REASONS.some((reason) => name.includes(reason));

export default class TestSummary {
  onTestRunEnd(modules, unhandledErrors) {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    const skipped = [];
    const missed = [];
    const again = [];
    for (const module of modules) {
      if (module.errors().length > 0) count.failed += 1;
      for (const test of module.children.allTests()) {
        const { state, note, errors } = test.result();
        const line = `${module.relativeModuleId}: ${test.fullName} (${note ?? 'no reason given'})`;
        if (test.diagnostic()?.flaky) again.push(`${test.fullName}: ${errors?.[0]?.message ?? 'no error is left'}`);
        if (state === 'passed' || state === 'failed') count[state] += 1;
        else if (isRequired(line)) missed.push(line);
        else skipped.push(line);
      }
    }
    count.skipped = skipped.length;
    count.failed += missed.length;
    print('Passed only at another attempt, after this', again);
    print('Skipped', skipped);
    print('Skipped, although a real S3 server was promised', missed);
    if (missed.length > 0) process.exitCode = 1;
    process.stdout.write(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
  }
}

function print(title, lines) {
  if (lines.length > 0) process.stdout.write(`\n${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`);
}
