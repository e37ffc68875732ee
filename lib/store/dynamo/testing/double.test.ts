import { storeConformance } from "#store/conformance";
import { fairWeather } from "./double.ts";
import { openStand } from "./stage.ts";

storeConformance("dynamoStore over its double", async () => ({ store: openStand().store }));

const badWeather = {
  ...fairWeather,
  throttle: 0.03,
  conflict: 0.03,
  lostRequest: 0.01,
  lostReply: 0.02,
  duplicate: 0.05,
  timeout: 0.01,
};

storeConformance("dynamoStore over its double in bad weather", async () => ({
  store: openStand({ weather: badWeather, shards: 3 }).store,
}));
