"""How many visitors a minute a site bears: simulated on a clock of its own, and checked by a burst over loopback.

Never against a provider: the model is the scripted one, held to the limits of an account. `simulate` is arithmetic,
`wire` runs the site itself. Says nothing of how good answers are.
"""
