"""What the API's documents hold, as types: the description is made of them, and the tests hold the
real answers against them. The running relay loads none of them.
"""
