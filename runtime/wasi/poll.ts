import { absoluteTime, Clock, EventType, Size } from "./abi.ts";
import { Errno, Refusal, refuse } from "./errno.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { WasiSystem } from "./system.ts";

/** Most subscriptions of one call. */
const maxSubscriptions = 1_024;

interface PollEvent {
  userdata: bigint;
  errno: Errno;
  type: number;
  bytes: bigint;
}

/**
 * `poll_oneoff`. Streams and files are always ready, so that only a call that asks for nothing but clocks waits.
 *
 * @throws Refusal `inval`, `fault`; `notsup` for waiting where the guest can't be suspended.
 */
export function poll(
  system: WasiSystem,
  memory: GuestMemory,
  subscriptions: number,
  events: number,
  count: number,
  result: number,
): void | Promise<void> {
  const total = count >>> 0;
  if (total === 0 || total > maxSubscriptions) refuse(Errno.inval);
  system.charge(total * Size.subscription);
  const ready: PollEvent[] = [];
  const timers: { due: bigint; event: PollEvent }[] = [];
  for (let i = 0; i < total; i++) {
    const at = (subscriptions >>> 0) + i * Size.subscription;
    const type = memory.u8(at + 8);
    const event = { userdata: memory.u64(at), errno: Errno.success as Errno, type, bytes: 0n };
    if (type === EventType.clock) timers.push({ due: waitOf(system, memory, at + 16, event), event });
    else if (type === EventType.fdRead || type === EventType.fdWrite) {
      ready.push(readiness(system, event, memory.u32(at + 16)));
    } else refuse(Errno.inval);
  }
  const answer = (happened: PollEvent[]): void => {
    for (const [i, event] of happened.entries()) writeEvent(memory, (events >>> 0) + i * Size.event, event);
    memory.setU32(result, happened.length);
  };
  const due = timers.filter((timer) => timer.due <= 0n).map(({ event }) => event);
  if (ready.length + due.length > 0) return answer([...ready, ...due]);
  const wait = timers.toSorted((one, other) => (one.due < other.due ? -1 : 1))[0]!.due;
  const slept = system.sleep(wait) ?? refuse(Errno.notsup);
  return slept.then(() => answer(timers.filter((timer) => timer.due <= wait).map(({ event }) => event)));
}

/** How long a timer still takes, ns. */
function waitOf(system: WasiSystem, memory: GuestMemory, at: number, event: PollEvent): bigint {
  const clock = memory.u32(at);
  if (clock !== Clock.realtime && clock !== Clock.monotonic) {
    event.errno = Errno.inval;
    return 0n;
  }
  const timeout = memory.u64(at + 8);
  if ((memory.u16(at + 24) & absoluteTime) === 0) return timeout;
  return timeout - (clock === Clock.realtime ? system.now() : system.uptime());
}

function readiness(system: WasiSystem, event: PollEvent, fd: number): PollEvent {
  try {
    const descriptor = system.descriptors.get(fd);
    const { kind } = descriptor;
    if (kind === "input") event.bytes = BigInt(descriptor.bytes.length - descriptor.position);
    else if (kind === "file") event.bytes = BigInt(Math.max(0, descriptor.node.size - descriptor.position));
    else if (kind === "directory") event.errno = Errno.badf;
    if (event.type === EventType.fdWrite) event.bytes = 0n;
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    event.errno = cause.errno;
  }
  return event;
}

function writeEvent(memory: GuestMemory, at: number, { userdata, errno, type, bytes }: PollEvent): void {
  memory.bytes(at, Size.event).fill(0);
  memory.setU64(at, userdata);
  memory.setU16(at + 8, errno);
  memory.setU8(at + 10, type);
  memory.setU64(at + 16, bytes);
}
