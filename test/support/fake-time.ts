import { existsSync } from "node:fs";
import type { Folder } from "./daemon.ts";

/** Of Debian's package faketime: gives a process another wall clock, and leaves its monotonic one alone. */
const LIBRARY = ["x86_64", "aarch64"]
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find((path) => existsSync(path));

/** A wall clock for processes that start with `env`. `shift` moves it: "-3h", "+5d", "+0". */
export async function fakeTime(folder: Folder, first: string) {
  if (LIBRARY === undefined)
    throw new Error("faketime is not here. On Debian, as root: apt-get install -y faketime");
  const shift = (by: string) => folder.write("clock", `${by}\n`);
  await shift(first);
  return {
    shift,
    env: {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: folder.file("clock"),
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
  };
}
