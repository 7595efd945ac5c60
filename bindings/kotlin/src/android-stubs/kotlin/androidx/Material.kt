@file:Suppress("unused", "FunctionName", "UNUSED_PARAMETER")

package androidx.compose.material3

import androidx.compose.foundation.layout.PaddingValues
import androidx.compose.runtime.Composable

@Composable
fun Badge(content: @Composable () -> Unit) {}

@Composable
fun BadgedBox(badge: @Composable () -> Unit, content: @Composable () -> Unit) {}

@Composable
fun Scaffold(topBar: @Composable () -> Unit, content: @Composable (PaddingValues) -> Unit) {}

@Composable
fun Text(text: String) {}

@Composable
fun TextButton(onClick: () -> Unit, content: @Composable () -> Unit) {}

@Composable
fun TextField(value: String, onValueChange: (String) -> Unit) {}

@Composable
fun TopAppBar(title: @Composable () -> Unit) {}
