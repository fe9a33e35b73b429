"""GradWatch: the trainer's hooks, three to six lines each, that call the verbs.

What a fit was found to have lives in ``casebook``, what the watch says in ``console``, what it does in ``policy``, and
how it never becomes the reason a fit dies in ``guard``.
"""
