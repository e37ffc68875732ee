/** The clock: what is due is done, each minute. It waits for nothing and does no controller's work but the minute's looks. */
import { z } from "zod";
import { lambda } from "../middleware.ts";
import { openPlane } from "../ports.ts";
import { chores } from "./chores.ts";

export const handler = lambda(z.object({}), () => chores(openPlane()));
