import { constants } from "./os.ts";

export default { ...constants.errno, ...constants.signals };
