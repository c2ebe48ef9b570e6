# SPDX-License-Identifier: BSD-2-Clause
# bash completion: the command itself knows which words may come next.
_viaduct()
{
	local line=${COMP_LINE:0:COMP_POINT} words cur
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=('')
	cur=${words[-1]}
	mapfile -t COMPREPLY < <("${words[0]}" complete "${words[@]:1}" 2>/dev/null)
	# Readline splits words at colons, as in 02:00:… and tap:NAME.
	COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
	# After "tap:" the name follows without a blank.
	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace
	return 0
}
complete -o default -F _viaduct viaduct
