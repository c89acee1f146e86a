"""The style of the page: light and dark, for narrow and wide windows."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --back: #fff; --ink: #1c2330; --dim: #586274; --line: #d9dee6;
  --soft: #f3f5f8; --link: #0b57b7; --good: #17683a; --bad: #a3271c; }
@media (prefers-color-scheme: dark) { :root { --back: #12161d; --ink: #e4e8ef; --dim: #a1abba;
  --line: #303846; --soft: #1b212b; --link: #82b4ff; --good: #6fd39a; --bad: #ff9a8c; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
main { padding: 1rem; max-width: 54rem; }
nav { padding: 1rem; border-bottom: 1px solid var(--line); font-size: .9rem; }
nav ul { list-style: none; margin: .2rem 0 .8rem; padding-left: 1rem; }
nav li { padding: .15rem 0; }
.name { font-weight: 700; font-size: 1.1rem; margin: 0 0 .6rem; }
a { color: var(--link); }
h3 a, nav a { text-decoration: none; }
a:hover { text-decoration: underline; }
a:focus-visible, summary:focus-visible, pre:focus-visible { outline: 2px solid var(--link);
  outline-offset: 2px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--back); padding: .5rem; }
h1 { line-height: 1.2; margin-top: 0; }
h2 { border-bottom: 1px solid var(--line); padding-bottom: .3rem; margin-top: 2.5rem; }
h3 { margin: 2rem 0 .3rem; }
h4 { margin: 1rem 0 .3rem; }
small { color: var(--dim); font-weight: 400; }
code, pre { font: .875em/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
code { background: var(--soft); border-radius: 3px; padding: .1em .25em; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .75rem;
  overflow-x: auto; overflow-wrap: normal; }
pre code { background: none; padding: 0; font-size: 1em; }
.route { margin: .2rem 0; }
.route b { border: 1px solid currentColor; border-radius: 4px; padding: .05rem .4rem;
  font-size: .8rem; }
.get { color: var(--link); }
.post, .patch, .good { color: var(--good); }
.delete, .bad { color: var(--bad); }
summary { cursor: pointer; padding: .25rem 0; }
main details { border-left: 2px solid var(--line); padding-left: .75rem; margin: .3rem 0; }
dl { margin: .3rem 0; }
dd { margin: 0 0 .5rem 1rem; }
@media (min-width: 60rem) {
  body { display: grid; grid-template-columns: 17rem minmax(0, 1fr); }
  nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; border-bottom: 0;
    border-right: 1px solid var(--line); }
  main { padding: 1.5rem 2.5rem; }
}
"""
