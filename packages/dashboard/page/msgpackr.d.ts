/** The same library without `new Function`, which the page's content security policy forbids. It comes without types. */
declare module "msgpackr/index-no-eval" {
  export { Packr } from "msgpackr";
}
