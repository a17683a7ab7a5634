import type { Knowledge, Learned } from "../core/decision.ts";
import { learn, mergeNames, thresholdOf } from "../core/names.ts";
import type { LearnRules } from "../core/rules.ts";
import type { NameKnowledge, Threshold } from "../core/state.ts";
import type { Shard } from "./shard.ts";
