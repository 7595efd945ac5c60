@file:Suppress("unused", "FunctionName", "UNUSED_PARAMETER")

package androidx.compose.foundation.layout

import androidx.compose.runtime.Composable

class PaddingValues

@Composable
fun Column(content: @Composable () -> Unit) {}
