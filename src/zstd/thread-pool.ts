/** Whether long work goes to the thread pool. A simulation does all on the spot, so that one seed gives one order. */
let isUsed = true;

export const usesThreadPool = (): boolean => isUsed;

/** For the whole process, from now on; for simulations alone: every frame blocks the calling thread then. */
export function leaveThreadPool(): void {
  isUsed = false;
}
