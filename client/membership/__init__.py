"""A site's membership in a federation: joining, what it has pinned, whom it has verified.

| module | what it does |
|---|---|
| `desk_line` | calls to the enrolment desk, believed under the invitation's authority alone |
| `folder` | a site's folder while it joins; every step can be repeated |
| `join` | the steps of joining, in order |
| `checks`, `data_check` | what must be right around the agent, each finding with a remedy |
| `epochs` | epochs that wait, and pinning one |
| `peers` | peers verified out of band, in `policy.toml` |
| `news` | what the agent asks for now and then: epochs, a renewed certificate |
| `rotation` | replacing the site's signing key |
"""
