"""Pages for citizens: submit and receipt, follow and add. They work without JavaScript; the code is never in a URL."""
