// Citizens' pages. They work without this: it only shortens ways.
import { sendOnce } from "./shared/forms";

sendOnce();
