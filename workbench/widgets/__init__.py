"""Live views for notebooks: each is a plain object with a complete static form, and a widget on top if somebody looks.

`base` holds what they share. anywidget, ipywidgets and IPython come with the extra `notebooks` and are imported when a
view is shown; without them, and without a front end, the static form is all there is.
"""
