// Prints, after everything else, which tests were skipped and why, and the line `N passed, N failed, N skipped`.
// A file that could not be loaded counts as one failure, so that the line is never green when the run is not.

export default class TestSummary {
  onTestRunEnd(modules, unhandledErrors) {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    const skipped = [];
    for (const module of modules) {
      const errors = module.errors().length;
      if (errors > 0) count.failed += 1;
      for (const test of module.children.allTests()) {
        const { state, note } = test.result();
        if (state === 'passed' || state === 'failed') count[state] += 1;
        else {
          count.skipped += 1;
          skipped.push(`  ${module.relativeModuleId}: ${test.fullName} (${note ?? 'no reason given'})`);
        }
      }
    }
    if (skipped.length > 0) process.stdout.write(`\nSkipped:\n${skipped.join('\n')}\n`);
    process.stdout.write(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
  }
}
