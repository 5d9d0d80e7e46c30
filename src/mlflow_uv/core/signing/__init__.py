"""In-toto statements about a release, and whom a project trusts to sign them."""
