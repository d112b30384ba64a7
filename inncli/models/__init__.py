"""What is trained, one model a file; `base.Model` is the contract.

Contents: `base.Model`; `flow.ConditionalFlow`, `inn.INN` and `adjoint.Adjoint` are named by the yamls of conf/model.
`preprocessing` is the scaling of x that all of them share.
May import `transforms`, `metrics`, `nn`, `data` and the rooms below them; not `tasks`, not `objectives`.
"""
