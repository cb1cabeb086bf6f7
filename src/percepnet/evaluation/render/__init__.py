"""Reports as people read them: templates for Markdown, HTML pages and drawings, and what is put into them."""
